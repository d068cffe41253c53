// SPDX-License-Identifier: BSD-2-Clause
#include "simulation/sim_links.h"

#include "base/async.h"

namespace ukai::sim {
namespace {

using namespace std::chrono_literals;
constexpr Duration control_deadline = 2s;
constexpr Duration pull_deadline = 60s;
constexpr Duration yield_deadline = 10s;

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
  return !world_.is_cut(from_, to_) && !world_.is_cut(to_, from_) &&
         world_.find(to_)->process != nullptr;
}

/// At the node, on its machine.
void SimLink::deliver(const IoRequest& request, std::function<void(IoReply)> answer) {
  SimNode* node = world_.find(to_);
  IoReply reply = IoReply::failed(away());
  if (node->process) {
    world_.note_change(*node, request);
    reply = *node->process->handle(request, false);
  }
  // A dead process' machine refuses; a late packet of a cut finds nobody.
  if (world_.is_cut(to_, from_) || world_.lost()) return;
  world_.machine(from_).after(
      world_.transit(), [answer = std::move(answer), reply = std::move(reply)] { answer(reply); });
}

void SimLink::submit(IoRequest request, Duration deadline, Done done) {
  auto pending = std::make_shared<Pending>(Pending{std::move(done)});
  world_.machine(from_).after(deadline,
                              [this, pending] { pending->answer(IoReply::failed(away())); });
  auto answer = [pending](IoReply reply) { pending->answer(std::move(reply)); };
  auto arrive = [this, answer, request = std::move(request)] {
    world_.machine(to_).post([this, answer, request] { deliver(request, answer); });
  };
  world_.scheduler.after(world_.transit(), [this, arrive = std::move(arrive)] {
    if (world_.is_cut(from_, to_)) {
      world_.hold_back(from_, to_, arrive);
    } else if (!world_.lost()) {
      arrive();
    }
  });
}

/// As gRPC has it: no answer within the deadline is an answer, too.
template <class Reply, class Call>
Task<Result<Reply>> SimLink::control(Call call) {
  const Result<Reply> late = away();
  auto asking = carry<Reply>(std::move(call));
  co_return co_await within(world_.machine(from_), control_deadline, std::move(asking), late);
}

template <class Reply, class Call>
Task<Result<Reply>> SimLink::carry(Call call) {
  co_await sleep_for(world_.machine(from_), world_.transit());
  Result<Reply> reply = away();
  if (world_.is_cut(from_, to_)) co_await sleep_for(world_.machine(from_), control_deadline);
  if (world_.is_cut(from_, to_)) co_return reply;
  co_await hop(world_.machine(to_));
  StorageNode* node = world_.find(to_)->process.get();
  if (node != nullptr) reply = call(*node);
  co_await sleep_for(world_.machine(from_), world_.transit());
  if (world_.is_cut(to_, from_)) {
    co_await sleep_for(world_.machine(from_), control_deadline);
    co_return away();
  }
  co_return reply;
}

Task<Result<pb::FenceReply>> SimLink::fence(pb::FenceRequest request) {
  auto call = [this, request](StorageNode& node) {
    auto reply = node.fence(request);
    if (reply.ok()) world_.repeat_changes(to_, request.ref().disk_id());
    return reply;
  };
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
Task<Result<pb::CloneReply>> SimLink::clone(pb::CloneRequest request) {
  auto call = [request](StorageNode& node) { return node.clone(request); };
  co_return co_await control<pb::CloneReply>(call);
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
  const Result<pb::PullReply> late = away();
  auto asking = carry_pull(std::move(request));
  co_return co_await within(world_.machine(from_), pull_deadline, std::move(asking), late);
}

Task<Result<pb::PullReply>> SimLink::carry_pull(pb::PullRequest request) {
  co_await sleep_for(world_.machine(from_), world_.transit());
  if (world_.is_cut(from_, to_)) co_return away();
  co_await hop(world_.machine(to_));
  StorageNode* node = world_.find(to_)->process.get();
  Result<pb::PullReply> reply = away();
  if (node != nullptr) {
    auto pulling = node->pull(std::move(request));
    reply = co_await std::move(pulling);
  }
  co_await sleep_for(world_.machine(from_), world_.transit());
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

/// Null: cut off, in whichever direction.
SimHost* SimPeers::find(const std::string& id) {
  if (world_.is_cut(host_, id) || world_.is_cut(id, host_)) return nullptr;
  for (auto& host : world_.hosts) {
    if (host->id.str() == id) return host.get();
  }
  return nullptr;
}

void SimPeers::submit(const pb::HostRecord& host, IoRequest request, Duration deadline,
                      NodeLink::Done done) {
  auto pending = std::make_shared<Pending>(Pending{std::move(done)});
  MachineClock& here = world_.machine(host_);
  here.after(deadline, [pending] {
    pending->answer(IoReply::failed(Code::unreachable, "the host does not answer"));
  });
  SimHost* peer = find(host.id());
  if (peer == nullptr) return;
  auto answer = [this, &here, pending](IoReply reply) {
    here.after(world_.transit(), [pending, reply = std::move(reply)] { pending->answer(reply); });
  };
  world_.machine(host.id()).after(world_.transit(),
                                  [peer, answer = std::move(answer), request = std::move(request)] {
                                    peer->disks->serve_reader(request, answer);
                                  });
}

Task<Result<pb::YieldLeaseReply>> SimPeers::yield_lease(pb::HostRecord host,
                                                        pb::YieldLeaseRequest request) {
  const Result<pb::YieldLeaseReply> late = Error{Code::unreachable, "the host does not answer"};
  auto asking = carry_yield(host.id(), std::move(request));
  co_return co_await within(world_.machine(host_), yield_deadline, std::move(asking), late);
}

Task<Result<pb::YieldLeaseReply>> SimPeers::carry_yield(std::string host,
                                                        pb::YieldLeaseRequest request) {
  co_await sleep_for(world_.machine(host_), world_.transit());
  SimHost* peer = find(host);
  if (peer == nullptr) co_return Error{Code::unreachable, "the host cannot be reached"};
  co_await hop(world_.machine(host));
  auto reply = co_await peer->disks->yield_lease(std::move(request));
  co_await hop(world_.machine(host_));
  co_return reply;
}

}  // namespace ukai::sim
