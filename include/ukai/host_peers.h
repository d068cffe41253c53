// SPDX-License-Identifier: BSD-2-Clause
#pragma once

#include "ukai/node_link.h"
#include "ukai_host.pb.h"

namespace ukai {

/// Other ukaids, as one ukaid sees them: the holder of a disk's lease serves the reads of hosts
/// without it and is asked to yield. The record says where it listens.
/// Threads: safe from any; `done` runs exactly once, on the reactor (data) or a completion thread.
class HostPeers {
 public:
  virtual ~HostPeers() = default;
  /// IoOp::read_disk, seek_disk.
  virtual void submit(const pb::HostRecord& host, IoRequest request, Duration deadline,
                      NodeLink::Done done) = 0;
  virtual Task<Result<pb::YieldLeaseReply>> yield_lease(pb::HostRecord host,
                                                        pb::YieldLeaseRequest request) = 0;
};

}  // namespace ukai
