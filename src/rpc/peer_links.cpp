// SPDX-License-Identifier: BSD-2-Clause
#include "rpc/peer_links.h"

#include <vector>

#include "ukai/limits.h"

namespace ukai {

std::shared_ptr<NodeLink> PeerLinks::find(const NodeAddress& node) {
  std::vector<std::shared_ptr<GrpcNodeLink>> dropped;  // destroyed after the mutex is free
  std::lock_guard lock(mutex_);
  const TimePoint now = scheduler_.now();
  Peer& peer = peers_[node.id];
  if (peer.link == nullptr || peer.address != node) {
    dropped.push_back(std::move(peer.link));
    peer.address = node;
    peer.link = std::make_shared<GrpcNodeLink>(transport_, scheduler_, node, nullptr);
  }
  peer.last_used = now;
  std::shared_ptr<NodeLink> found = peer.link;
  for (auto it = peers_.begin(); it != peers_.end();) {
    const bool idle = it->second.last_used + limits::idle_peer < now;
    if (idle) dropped.push_back(std::move(it->second.link));
    it = idle ? peers_.erase(it) : std::next(it);
  }
  return found;
}

}  // namespace ukai
