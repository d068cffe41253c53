// SPDX-License-Identifier: BSD-2-Clause
#pragma once

#include <string>

#include "simulation/world.h"
#include "ukai/host_peers.h"

namespace ukai::sim {

/// The way from one end (host or node) to a node, through the simulated network.
class SimLink final : public NodeLink {
 public:
  SimLink(World& world, std::string from, std::string to)
      : world_(world), from_(std::move(from)), to_(std::move(to)) {}

  void submit(IoRequest request, Duration deadline, Done done) override;
  Task<Result<pb::FenceReply>> fence(pb::FenceRequest request) override;
  Task<Result<pb::DirtyListReply>> dirty_list(pb::DirtyListRequest request) override;
  Task<Result<pb::CleanReply>> clean(pb::CleanRequest request) override;
  Task<Result<pb::SetMissingReply>> set_missing(pb::SetMissingRequest request) override;
  Task<Result<pb::PullReply>> pull(pb::PullRequest request) override;
  Task<Result<pb::HashReply>> hash(pb::HashRequest request) override;
  Task<Result<pb::CloneReply>> clone(pb::CloneRequest request) override;
  Task<Result<pb::DiskUsageReply>> disk_usage(pb::DiskUsageRequest request) override;
  Task<Result<pb::HealthReply>> health() override;
  Condition condition() const override;

 private:
  bool reachable() const;
  void deliver(const IoRequest& request, std::function<void(IoReply)> answer);
  Error away() const { return {Code::unreachable, from_ + " cannot reach " + to_}; }
  template <class Reply, class Call>
  Task<Result<Reply>> control(Call call);
  template <class Reply, class Call>
  Task<Result<Reply>> carry(Call call);
  Task<Result<pb::PullReply>> carry_pull(pb::PullRequest request);

  World& world_;
  const std::string from_;
  const std::string to_;
};

class SimDirectory final : public NodeDirectory {
 public:
  SimDirectory(World& world, std::string host) : world_(world), host_(std::move(host)) {}
  std::optional<Entry> find(const NodeId& node) const override;
  std::unique_ptr<Subscription> subscribe(std::function<void(NodeId)> changed) override;

 private:
  World& world_;
  const std::string host_;
};

class SimPeers final : public HostPeers {
 public:
  SimPeers(World& world, std::string host) : world_(world), host_(std::move(host)) {}
  void submit(const pb::HostRecord& host, IoRequest request, Duration deadline,
              NodeLink::Done done) override;
  Task<Result<pb::YieldLeaseReply>> yield_lease(pb::HostRecord host,
                                                pb::YieldLeaseRequest request) override;

 private:
  Task<Result<pb::YieldLeaseReply>> carry_yield(std::string host, pb::YieldLeaseRequest request);
  SimHost* find(const std::string& id);
  World& world_;
  const std::string host_;
};

}  // namespace ukai::sim
