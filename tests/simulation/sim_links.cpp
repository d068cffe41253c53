// SPDX-License-Identifier: BSD-2-Clause
#include "simulation/sim_links.h"

namespace ukai::sim {
namespace {

/// Answers once: with the reply, or at the deadline.
struct Pending {
  NodeLink::Done done;
  bool answered = false;
  void answer(IoReply reply) {
    if (std::exchange(answered, true)) return;
    done(std::move(reply));
  }
};

}  // namespace

bool SimLink::reachable() const {
  return !world_.is_cut(from_, to_) && world_.find(to_)->process != nullptr;
}

void SimLink::submit(IoRequest request, Duration deadline, Done done) {
  auto pending = std::make_shared<Pending>(Pending{std::move(done)});
  World& world = world_;
  world.scheduler.after(deadline, [this, pending] { pending->answer(IoReply::failed(away())); });
  auto deliver = [this, &world, pending, request = std::move(request)] {
    SimNode* node = world.find(to_);
    if (!node->process) {
      // A dead process' machine refuses; a late packet of a cut finds nobody.
      pending->answer(IoReply::failed(away()));
      return;
    }
    auto reply = node->process->handle(request, false);
    auto give_back = [pending, reply = std::move(*reply)] { pending->answer(reply); };
    if (world.is_cut(from_, to_)) return;
    world.scheduler.after(world.transit(), std::move(give_back));
  };
  world.scheduler.after(world.transit(), [this, &world, deliver = std::move(deliver)] {
    if (world.is_cut(from_, to_)) {
      world.hold_back(from_, to_, deliver);
    } else {
      deliver();
    }
  });
}

template <class Reply, class Call>
Task<Result<Reply>> SimLink::control(Call call) {
  co_await sleep_for(world_.scheduler, world_.transit());
  if (!reachable()) {
    if (world_.is_cut(from_, to_)) co_await sleep_for(world_.scheduler, std::chrono::seconds(2));
    co_return away();
  }
  Result<Reply> reply = call(*world_.find(to_)->process);
  co_await sleep_for(world_.scheduler, world_.transit());
  if (world_.is_cut(from_, to_)) co_return away();
  co_return reply;
}

Task<Result<pb::FenceReply>> SimLink::fence(pb::FenceRequest request) {
  auto call = [request](StorageNode& node) { return node.fence(request); };
  co_return co_await control<pb::FenceReply>(call);
}
Task<Result<pb::DirtyListReply>> SimLink::dirty_list(pb::DirtyListRequest request) {
  auto call = [request](StorageNode& node) { return node.dirty_list(request); };
  co_return co_await control<pb::DirtyListReply>(call);
}
Task<Result<pb::CleanReply>> SimLink::clean(pb::CleanRequest request) {
  auto call = [request](StorageNode& node) { return node.clean(request); };
  co_return co_await control<pb::CleanReply>(call);
}
Task<Result<pb::SetMissingReply>> SimLink::set_missing(pb::SetMissingRequest request) {
  auto call = [request](StorageNode& node) { return node.set_missing(request); };
  co_return co_await control<pb::SetMissingReply>(call);
}
Task<Result<pb::HashReply>> SimLink::hash(pb::HashRequest request) {
  auto call = [request](StorageNode& node) { return node.hash(request); };
  co_return co_await control<pb::HashReply>(call);
}
Task<Result<pb::DiskUsageReply>> SimLink::disk_usage(pb::DiskUsageRequest request) {
  auto call = [request](StorageNode& node) { return node.disk_usage(request); };
  co_return co_await control<pb::DiskUsageReply>(call);
}
Task<Result<pb::HealthReply>> SimLink::health() {
  auto call = [](StorageNode& node) -> Result<pb::HealthReply> { return node.health(); };
  co_return co_await control<pb::HealthReply>(call);
}

Task<Result<pb::PullReply>> SimLink::pull(pb::PullRequest request) {
  co_await sleep_for(world_.scheduler, world_.transit());
  if (!reachable()) co_return away();
  auto pulling = world_.find(to_)->process->pull(std::move(request));
  auto reply = co_await std::move(pulling);
  co_await sleep_for(world_.scheduler, world_.transit());
  if (!reachable()) co_return away();
  co_return reply;
}

NodeLink::Condition SimLink::condition() const {
  Condition condition;
  condition.connected = reachable();
  return condition;
}

std::optional<NodeDirectory::Entry> SimDirectory::find(const NodeId& node) const {
  SimNode* found = world_.find(node.str());
  if (found == nullptr) return std::nullopt;
  Entry entry;
  entry.link = world_.link(host_, node.str());
  entry.alive = found->process != nullptr;
  entry.incarnation = found->incarnation;
  return entry;
}

std::unique_ptr<NodeDirectory::Subscription> SimDirectory::subscribe(
    std::function<void(NodeId)> changed) {
  struct Token final : Subscription {
    Token(World& world, std::function<void(NodeId)> given)
        : world_(world), changed_(std::move(given)) {
      world_.subscribe(&changed_);
    }
    ~Token() override { world_.unsubscribe(&changed_); }
    World& world_;
    std::function<void(NodeId)> changed_;
  };
  return std::make_unique<Token>(world_, std::move(changed));
}

SimHost* SimPeers::find(const std::string& id) {
  for (auto& host : world_.hosts) {
    if (host->id.str() == id && !world_.is_cut(host_, id)) return host.get();
  }
  return nullptr;
}

void SimPeers::submit(const pb::HostRecord& host, IoRequest request, Duration deadline,
                      NodeLink::Done done) {
  SimHost* peer = find(host.id());
  if (peer == nullptr) {
    world_.scheduler.after(deadline, [done = std::move(done)] {
      done(IoReply::failed(Code::unreachable, "the host cannot be reached"));
    });
    return;
  }
  peer->disks->serve_reader(std::move(request), std::move(done));
}

Task<Result<pb::YieldLeaseReply>> SimPeers::yield_lease(pb::HostRecord host,
                                                        pb::YieldLeaseRequest request) {
  co_await sleep_for(world_.scheduler, world_.transit());
  SimHost* peer = find(host.id());
  if (peer == nullptr) co_return Error{Code::unreachable, "the host cannot be reached"};
  co_return co_await peer->disks->yield_lease(std::move(request));
}

}  // namespace ukai::sim
