// SPDX-License-Identifier: BSD-2-Clause
#pragma once

#include <vector>

#include "disk/disk_core.h"

namespace ukai {

/// Service while ZooKeeper cannot be asked whether the lease stands (protocol.md, "Streams,
/// sequences, fencing"): a holder goes on with a block as long as every in-sync replica of it has
/// confirmed its epoch within the last 2 s, counted from sending. The other half of the bargain: a
/// new holder who set an unfenced node aside waits that long, and some drift, before it serves
/// blocks with a replica there, because the last holder may still read them from that node.
///
/// Threads: safe from any.
class EpochConfirmation {
 public:
  explicit EpochConfirmation(DiskCore& core) : core_(core) {}

  /// True when service may go on; asks replicas whose confirmation is old.
  Task<bool> fresh(const std::vector<Location>& locations);
  /// From when on a block may be served; nullopt: now.
  std::optional<TimePoint> serve_from(const std::vector<Location>& locations);

 private:
  Task<bool> confirm(std::size_t index, Session session);
  Task<void> confirm_ahead(std::size_t index, Session session);

  DiskCore& core_;
};

}  // namespace ukai
