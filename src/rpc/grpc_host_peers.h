// SPDX-License-Identifier: BSD-2-Clause
#pragma once

#include <map>
#include <memory>
#include <mutex>
#include <string>

#include "rpc/transport.h"
#include "ukai/host_peers.h"

namespace ukai {

/// HostPeers by gRPC: a link a host, made when it is first asked for, replaced when the host has
/// moved, and dropped when it has not been used for a while.
/// Threads: safe from any. Transport and scheduler outlive it; requests in flight when it is
/// destroyed fail.
class GrpcHostPeers final : public HostPeers {
 public:
  GrpcHostPeers(Transport& transport, Scheduler& scheduler);
  ~GrpcHostPeers() override;

  void submit(const pb::HostRecord& host, IoRequest request, Duration deadline,
              NodeLink::Done done) override;
  Task<Result<pb::YieldLeaseReply>> yield_lease(pb::HostRecord host,
                                                pb::YieldLeaseRequest request) override;

 private:
  struct Peer;
  std::shared_ptr<Peer> peer(const pb::HostRecord& host);

  Transport& transport_;
  Scheduler& scheduler_;
  std::mutex mutex_;
  // By mutex_. shared_ptr: a call under way keeps a peer that has been replaced.
  std::map<std::string, std::shared_ptr<Peer>> peers_;
};

}  // namespace ukai
