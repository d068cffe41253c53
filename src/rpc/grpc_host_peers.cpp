// SPDX-License-Identifier: BSD-2-Clause
#include "rpc/grpc_host_peers.h"

#include "rpc/channels.h"
#include "rpc/data_client.h"
#include "rpc/host_link.h"
#include "ukai/limits.h"

namespace ukai {

struct GrpcHostPeers::Peer {
  Peer(Transport& transport, Scheduler& scheduler, const pb::HostRecord& host)
      : data_address(host.data_address()),
        control_address(host.control_address()),
        data(transport, scheduler,
             DataClientOptions{host.data_address(), host_identity(host.id()), host.id(), nullptr}),
        control(transport, host) {}

  const std::string data_address;
  const std::string control_address;
  TimePoint last_used;  ///< by GrpcHostPeers::mutex_
  DataClient data;
  HostLink control;
};

GrpcHostPeers::GrpcHostPeers(Transport& transport, Scheduler& scheduler)
    : transport_(transport), scheduler_(scheduler) {}

GrpcHostPeers::~GrpcHostPeers() = default;

std::shared_ptr<GrpcHostPeers::Peer> GrpcHostPeers::peer(const pb::HostRecord& host) {
  std::vector<std::shared_ptr<Peer>> dropped;  // destroyed after the mutex is free
  std::lock_guard lock(mutex_);
  const TimePoint now = scheduler_.now();
  std::shared_ptr<Peer>& peer = peers_[host.id()];
  if (peer == nullptr || peer->data_address != host.data_address() ||
      peer->control_address != host.control_address()) {
    dropped.push_back(std::move(peer));
    peer = std::make_shared<Peer>(transport_, scheduler_, host);
  }
  peer->last_used = now;
  std::shared_ptr<Peer> found = peer;
  for (auto it = peers_.begin(); it != peers_.end();) {
    const bool idle = it->second->last_used + limits::idle_peer < now;
    if (idle) dropped.push_back(std::move(it->second));
    it = idle ? peers_.erase(it) : std::next(it);
  }
  return found;
}

void GrpcHostPeers::submit(const pb::HostRecord& host, IoRequest request, Duration deadline,
                           NodeLink::Done done) {
  peer(host)->data.submit(std::move(request), deadline, std::move(done));
}

Task<Result<pb::YieldLeaseReply>> GrpcHostPeers::yield_lease(pb::HostRecord host,
                                                             pb::YieldLeaseRequest request) {
  const std::shared_ptr<Peer> kept = peer(host);
  co_return co_await kept->control.yield_lease(std::move(request));
}

}  // namespace ukai
