// SPDX-License-Identifier: BSD-2-Clause
#include "rpc/registry_directory.h"

#include <map>
#include <mutex>
#include <set>
#include <vector>

#include "base/async.h"
#include "base/log.h"
#include "rpc/grpc_node_link.h"
#include "ukai/limits.h"

namespace ukai {
namespace {

/// A round trip, whatever the answer is: a node knows of no such disk.
void measure(NodeLink& link) {
  IoRequest request;
  request.op = IoOp::ping;
  link.submit(std::move(request), limits::io_deadline_default, [](const IoReply&) {});
}

/// One subscriber. The mutex is held while it is told, so that nothing starts after it has left;
/// recursive, because it may leave while it is being told.
struct Listener {
  std::recursive_mutex mutex;
  std::function<void(NodeId)> changed;  // by mutex; empty: has left
};

class ListenerToken final : public NodeDirectory::Subscription {
 public:
  explicit ListenerToken(std::shared_ptr<Listener> listener) : listener_(std::move(listener)) {}
  ~ListenerToken() override {
    std::lock_guard lock(listener_->mutex);
    listener_->changed = nullptr;
  }

 private:
  std::shared_ptr<Listener> listener_;  // shared with calls under way
};

}  // namespace

class RegistryDirectory::State : public std::enable_shared_from_this<State> {
 public:
  State(Catalog& catalog, Scheduler& scheduler, Transport& transport, LocalNode local)
      : catalog_(catalog), scheduler_(scheduler), transport_(transport), local_(std::move(local)) {}

  Task<Result<>> start();
  void stop();
  std::optional<Entry> find(const NodeId& node) const;
  std::unique_ptr<Subscription> subscribe(std::function<void(NodeId)> changed);

 private:
  struct Known {
    Entry entry;
    std::shared_ptr<GrpcNodeLink> remote;  ///< the same link; nullptr for the local node
    std::unique_ptr<Coordination::Watch> alive_watch;
  };
  /// What has to be read again.
  struct Stale {
    bool all = false;
    std::set<NodeId> nodes;
    bool empty() const { return !all && nodes.empty(); }
  };

  void want_all();
  void want(const NodeId& node);
  void run_once_wanted();
  Task<void> run();
  Task<Result<>> refresh(Stale stale);
  void apply(const NodeInfo& info);
  void forget_all_but(const std::set<NodeId>& present);
  void make_link(const NodeId& id, const pb::NodeRecord& record, Known& known);
  void notify(const NodeId& node);
  void measure_all();

  // Constant after construction.
  Catalog& catalog_;
  Scheduler& scheduler_;
  Transport& transport_;
  const LocalNode local_;
  TaskScope scope_;

  mutable std::mutex mutex_;
  // All below by mutex_.
  std::map<NodeId, Known> nodes_;
  std::unique_ptr<Coordination::Watch> nodes_watch_;
  Stale stale_;
  bool running_ = false;
  bool stopping_ = false;
  std::vector<std::shared_ptr<Listener>> listeners_;
  std::optional<Scheduler::TimerId> measure_timer_;
};

Task<Result<>> RegistryDirectory::State::start() {
  auto watch =
      catalog_.coordination().watch(Catalog::nodes_path(), true, [weak = weak_from_this()] {
        if (auto self = weak.lock()) self->want_all();
      });
  {
    std::lock_guard lock(mutex_);
    nodes_watch_ = std::move(watch);
    running_ = true;  // what changes meanwhile is looked at afterwards
  }
  Stale everything;
  everything.all = true;
  auto read = co_await refresh(std::move(everything));
  measure_all();
  bool more = false;
  {
    std::lock_guard lock(mutex_);
    stale_.all |= !read.ok();
    running_ = false;
    more = !stale_.empty();
  }
  if (more) run_once_wanted();
  co_return read;
}

void RegistryDirectory::State::stop() {
  std::unique_ptr<Coordination::Watch> nodes_watch;
  std::map<NodeId, Known> nodes;
  {
    std::lock_guard lock(mutex_);
    stopping_ = true;
    if (measure_timer_) scheduler_.cancel(*measure_timer_);
    nodes_watch = std::move(nodes_watch_);
    nodes.swap(nodes_);
  }
  // Watches and links go without the mutex, which their callbacks take.
  nodes_watch.reset();
  nodes.clear();
  sync_wait(scope_.close());
  // What a refresh that was under way has added meanwhile.
  std::lock_guard lock(mutex_);
  nodes.swap(nodes_);
}

void RegistryDirectory::State::want_all() {
  {
    std::lock_guard lock(mutex_);
    stale_.all = true;
  }
  run_once_wanted();
}

void RegistryDirectory::State::want(const NodeId& node) {
  {
    std::lock_guard lock(mutex_);
    stale_.nodes.insert(node);
  }
  run_once_wanted();
}

void RegistryDirectory::State::run_once_wanted() {
  {
    std::lock_guard lock(mutex_);
    if (running_ || stopping_) return;
    running_ = true;
  }
  scope_.spawn(run());
}

/// One at a time, so that what is older never overwrites what is newer.
Task<void> RegistryDirectory::State::run() {
  for (;;) {
    Stale stale;
    {
      std::lock_guard lock(mutex_);
      if (stale_.empty() || stopping_) {
        running_ = false;
        co_return;
      }
      stale = std::exchange(stale_, Stale{});
    }
    const Stale again = stale;
    auto refreshed = co_await refresh(std::move(stale));
    if (refreshed) continue;
    log::debug("event=registry_unread reason=\"{}\"", refreshed.error().what);
    {
      std::lock_guard lock(mutex_);
      stale_.all |= again.all;
      stale_.nodes.insert(again.nodes.begin(), again.nodes.end());
    }
    co_await sleep_for(scheduler_, limits::registry_retry);
  }
}

Task<Result<>> RegistryDirectory::State::refresh(Stale stale) {
  if (stale.all) {
    auto all = co_await catalog_.nodes();
    if (!all) co_return all.error();
    std::set<NodeId> present;
    for (const NodeInfo& info : *all) {
      present.insert(NodeId(info.record.id()));
      apply(info);
    }
    forget_all_but(present);
    co_return Unit{};
  }
  for (const NodeId& node : stale.nodes) {
    auto info = co_await catalog_.node(node);
    if (info.failed_with(Code::not_found) || info.failed_with(Code::corrupt)) continue;
    if (!info) co_return info.error();
    apply(*info);
  }
  co_return Unit{};
}

void RegistryDirectory::State::apply(const NodeInfo& info) {
  const NodeId id(info.record.id());
  // A damaged record says nothing: what was known stays.
  if (!info.damage.empty()) return;
  std::shared_ptr<NodeLink> replaced;
  std::shared_ptr<GrpcNodeLink> back;
  bool is_new = false;
  {
    std::lock_guard lock(mutex_);
    if (stopping_) return;
    auto [it, inserted] = nodes_.try_emplace(id);
    is_new = inserted;
    Known& known = it->second;
    Entry& entry = known.entry;
    const bool moved = entry.data_address != info.record.data_address() ||
                       entry.control_address != info.record.control_address();
    const std::uint64_t incarnation = info.alive ? info.alive->incarnation() : 0;
    const bool restarted = entry.incarnation != incarnation;
    const bool same = !is_new && !moved && !restarted && entry.alive == info.alive.has_value() &&
                      entry.site == info.record.site();
    if (same) return;
    if (moved || is_new) {
      replaced = entry.link;
      make_link(id, info.record, known);
    }
    entry.site = info.record.site();
    entry.alive = info.alive.has_value();
    entry.incarnation = incarnation;
    if (!is_new && entry.alive) back = known.remote;
  }
  if (back != nullptr) back->connect_now();
  notify(id);
  if (!is_new) return;
  auto watch =
      catalog_.coordination().watch(Catalog::alive_path(id), false, [weak = weak_from_this(), id] {
        if (auto self = weak.lock()) self->want(id);
      });
  {
    std::lock_guard lock(mutex_);
    if (auto it = nodes_.find(id); it != nodes_.end()) it->second.alive_watch.swap(watch);
  }
  want(id);  // for what changed before the watch was there
}

/// Under mutex_.
void RegistryDirectory::State::make_link(const NodeId& id, const pb::NodeRecord& record,
                                         Known& known) {
  known.entry.data_address = record.data_address();
  known.entry.control_address = record.control_address();
  known.entry.local = local_.link != nullptr && id == local_.id;
  if (known.entry.local) {
    known.entry.link = local_.link;
    return;
  }
  const NodeAddress address{id.str(), record.data_address(), record.control_address()};
  known.remote = std::make_shared<GrpcNodeLink>(transport_, scheduler_, address,
                                                [weak = weak_from_this(), id] {
                                                  if (auto self = weak.lock()) self->notify(id);
                                                });
  known.entry.link = known.remote;
}

void RegistryDirectory::State::forget_all_but(const std::set<NodeId>& present) {
  std::vector<std::pair<NodeId, Known>> gone;
  {
    std::lock_guard lock(mutex_);
    for (auto it = nodes_.begin(); it != nodes_.end();) {
      if (present.contains(it->first)) {
        ++it;
      } else {
        gone.emplace_back(it->first, std::move(it->second));
        it = nodes_.erase(it);
      }
    }
  }
  for (const auto& [node, known] : gone) notify(node);
}

std::optional<NodeDirectory::Entry> RegistryDirectory::State::find(const NodeId& node) const {
  std::optional<Entry> entry;
  std::shared_ptr<GrpcNodeLink> remote;
  {
    std::lock_guard lock(mutex_);
    const auto found = nodes_.find(node);
    if (found == nodes_.end()) return std::nullopt;
    entry = found->second.entry;
    remote = found->second.remote;
  }
  if (remote != nullptr) remote->connect();
  return entry;
}

std::unique_ptr<NodeDirectory::Subscription> RegistryDirectory::State::subscribe(
    std::function<void(NodeId)> changed) {
  auto listener = std::make_shared<Listener>();
  listener->changed = std::move(changed);
  std::lock_guard lock(mutex_);
  listeners_.push_back(listener);
  return std::make_unique<ListenerToken>(std::move(listener));
}

void RegistryDirectory::State::notify(const NodeId& node) {
  std::vector<std::shared_ptr<Listener>> listeners;
  {
    std::lock_guard lock(mutex_);
    // Only the list still knows those that have left.
    std::erase_if(listeners_, [](const auto& listener) { return listener.use_count() == 1; });
    listeners = listeners_;
  }
  for (auto& listener : listeners) {
    scheduler_.post([listener = std::move(listener), node] {
      std::lock_guard lock(listener->mutex);
      const auto changed = listener->changed;  // it may leave while it runs
      if (changed) changed(node);
    });
  }
}

void RegistryDirectory::State::measure_all() {
  std::vector<std::shared_ptr<GrpcNodeLink>> links;
  {
    std::lock_guard lock(mutex_);
    if (stopping_) return;
    for (const auto& [id, known] : nodes_) {
      if (known.remote != nullptr && known.entry.alive) links.push_back(known.remote);
    }
    measure_timer_ = scheduler_.after(limits::distance_interval, [weak = weak_from_this()] {
      if (auto self = weak.lock()) self->measure_all();
    });
  }
  for (const auto& link : links) measure(*link);
}

RegistryDirectory::RegistryDirectory(Catalog& catalog, Scheduler& scheduler, Transport& transport,
                                     LocalNode local)
    : state_(std::make_shared<State>(catalog, scheduler, transport, std::move(local))) {}

RegistryDirectory::~RegistryDirectory() { state_->stop(); }

Task<Result<>> RegistryDirectory::start() { return state_->start(); }

std::optional<NodeDirectory::Entry> RegistryDirectory::find(const NodeId& node) const {
  return state_->find(node);
}

std::unique_ptr<NodeDirectory::Subscription> RegistryDirectory::subscribe(
    std::function<void(NodeId)> changed) {
  return state_->subscribe(std::move(changed));
}

}  // namespace ukai
