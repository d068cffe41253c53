// SPDX-License-Identifier: BSD-2-Clause
#pragma once

#include <vector>

#include "disk/connector.h"
#include "disk/disk_core.h"
#include "disk/lost_writes.h"
#include "disk/membership.h"
#include "disk/requests.h"

namespace ukai {

/// Makes acknowledged changes durable on every in-sync replica (rule 3), and lets the nodes forget
/// what they logged about changes that are durable everywhere.
class Flusher {
 public:
  Flusher(DiskCore& core, Membership& membership, Connector& connector)
      : core_(core), membership_(membership), connector_(connector), lost_writes_(core) {}

  /// Errors: io (acknowledged changes were lost with the only replica's machine, or it cannot be
  /// reached within io_wait), or why the disk is no longer served.
  Task<Result<>> flush();
  /// The same for ourselves: what was lost before is for the guest's flush() to say.
  Task<Result<>> make_durable();
  /// Flushes, and clears log entries of all changes so far. Does nothing unless every present
  /// member is open. True when the entries are cleared.
  Task<bool> clean();
  /// Runs clean() at every clean interval in which something changed, until the disk stops.
  Task<void> keep_clean();
  /// True when every block of the member that may have been changed is in sync on some other open
  /// member.
  bool replaceable(std::size_t index);

 private:
  struct Due {
    std::size_t index;
    std::uint64_t changes;  ///< must be durable up to here
  };
  std::vector<Due> due_now();
  /// Splits what is still due into those to ask now and those that are away.
  void sort_out(std::vector<Due>& due, std::vector<Target>& ask, std::vector<std::size_t>& away);
  bool all_present_open();

  DiskCore& core_;
  Membership& membership_;
  Connector& connector_;
  LostWrites lost_writes_;
  std::uint64_t cleaned_through_ =
      0;  ///< sequence; touched by clean() only, which never runs twice at once
  AsyncMutex cleaning_;
};

}  // namespace ukai
