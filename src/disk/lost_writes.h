// SPDX-License-Identifier: BSD-2-Clause
#pragma once

#include <vector>

#include "disk/disk_core.h"

namespace ukai {

/// Finds out whether changes that were acknowledged and not flushed are gone for good, because the
/// machine of every replica that had them crashed. The guest's next flush has to say so (rule 3).
class LostWrites {
 public:
  explicit LostWrites(DiskCore& core) : core_(core) {}

  /// Decides about the crashes noted so far (Replica::lost_writes). Runs before a member becomes
  /// present: whoever is present now has been so since those crashes, and what it has counts; one
  /// that is healed from a machine that lost writes lacks them as well.
  void settle();
  /// True when changes are gone; once for each loss.
  bool take();

 private:
  bool held_elsewhere(std::size_t index, const std::vector<std::size_t>& losers);

  DiskCore& core_;
};

}  // namespace ukai
