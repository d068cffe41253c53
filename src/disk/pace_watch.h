// SPDX-License-Identifier: BSD-2-Clause
#pragma once

#include "disk/disk_core.h"
#include "disk/flusher.h"
#include "disk/membership.h"

namespace ukai {

/// Looks every second at how fast the members answer. Reads go to the nearest as of now. A member
/// that is far slower than its peers for seconds (a gray failure: it still answers within the
/// deadline) is set aside, provided that every block has another replica; it is healed, and so
/// back, after a pause that doubles each time.
class PaceWatch {
 public:
  PaceWatch(DiskCore& core, Membership& membership, Flusher& flusher)
      : core_(core), membership_(membership), flusher_(flusher) {}

  /// Runs until the disk stops.
  Task<void> watch();

 private:
  struct Verdict {
    std::size_t index = 0;
    Session session{};
    bool missing = false;  ///< it was being healed
    std::string reason;
  };
  void rank_again();
  std::vector<Verdict> judge();
  Task<void> set_aside(Verdict verdict);

  DiskCore& core_;
  Membership& membership_;
  Flusher& flusher_;
};

}  // namespace ukai
