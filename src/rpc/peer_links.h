// SPDX-License-Identifier: BSD-2-Clause
#pragma once

#include <map>
#include <memory>
#include <mutex>
#include <string>

#include "rpc/grpc_node_link.h"

namespace ukai {

/// Links from one storage node to others it copies blocks from: made when first asked for, replaced
/// when a node has moved, dropped when not used for a while.
/// Threads: safe from any. Transport and scheduler outlive it.
class PeerLinks {
 public:
  PeerLinks(Transport& transport, Scheduler& scheduler)
      : transport_(transport), scheduler_(scheduler) {}

  /// shared_ptr: a copy under way keeps a link that has been replaced.
  std::shared_ptr<NodeLink> find(const NodeAddress& node);

 private:
  struct Peer {
    NodeAddress address;
    std::shared_ptr<GrpcNodeLink> link;
    TimePoint last_used;
  };

  Transport& transport_;
  Scheduler& scheduler_;
  std::mutex mutex_;
  std::map<std::string, Peer> peers_;  // by mutex_
};

}  // namespace ukai
