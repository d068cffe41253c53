// SPDX-License-Identifier: BSD-2-Clause
#include "rpc/local_node_link.h"

#include <mutex>

#include "rpc/in_flight.h"
#include "ukai/limits.h"

namespace ukai {

/// Requests that the pool works on, and the timer that gives them up.
class LocalNodeLink::Waiting : public std::enable_shared_from_this<Waiting> {
 public:
  explicit Waiting(Scheduler& scheduler) : scheduler_(scheduler) {}

  /// nullopt: too many wait already; `done` has been told.
  std::optional<std::uint64_t> add(Duration deadline, NodeLink::Done done) {
    {
      std::lock_guard lock(mutex_);
      if (!in_flight_.full()) {
        const TimePoint now = scheduler_.now();
        const std::uint64_t id = in_flight_.add({std::move(done), now, now + deadline, false});
        arm();
        return id;
      }
    }
    done(IoReply::failed(Code::unreachable, "the local node has too many requests waiting"));
    return std::nullopt;
  }

  void answer(std::uint64_t id, IoReply reply) {
    std::optional<InFlight::Request> request;
    {
      std::lock_guard lock(mutex_);
      request = in_flight_.take(id);
    }
    if (request) request->done(std::move(reply));
  }

  std::size_t size() const {
    std::lock_guard lock(mutex_);
    return in_flight_.size();
  }

 private:
  /// Under mutex_.
  void arm() {
    if (armed_) return;
    armed_ = true;
    scheduler_.after(limits::deadline_sweep_interval,
                     [self = shared_from_this()] { self->sweep(); });
  }
  void sweep() {
    std::vector<InFlight::Request> late;
    {
      std::lock_guard lock(mutex_);
      armed_ = false;
      late = in_flight_.take_late(scheduler_.now());
      if (in_flight_.size() > 0) arm();
    }
    for (InFlight::Request& request : late) {
      request.done(IoReply::failed(Code::unreachable, "the local node did not answer in time"));
    }
  }

  Scheduler& scheduler_;
  mutable std::mutex mutex_;
  InFlight in_flight_{limits::stream_queue_frames_max};  // by mutex_
  bool armed_ = false;                                   // by mutex_
};

LocalNodeLink::LocalNodeLink(StorageNode& node, WorkerPool& pool, Scheduler& scheduler)
    : node_(node), pool_(pool), waiting_(std::make_shared<Waiting>(scheduler)) {}

void LocalNodeLink::submit(IoRequest request, Duration deadline, Done done) {
  if (auto reply = node_.handle(request, true)) return done(std::move(*reply));
  const auto id = waiting_->add(deadline, std::move(done));
  if (!id) return;
  pool_.post([waiting = waiting_, &node = node_, id = *id, request = std::move(request)] {
    waiting->answer(id, *node.handle(request, false));
  });
}

/// To be awaited at once: like hop(), to the pool.
class LocalNodeLink::OnPool {
 public:
  explicit OnPool(WorkerPool& pool) : pool_(pool) {}
  bool await_ready() const noexcept { return false; }
  void await_suspend(std::coroutine_handle<> awaiter) const {
    pool_.post([awaiter] { awaiter.resume(); });
  }
  void await_resume() const noexcept {}

 private:
  WorkerPool& pool_;
};

LocalNodeLink::OnPool LocalNodeLink::on_pool() { return OnPool(pool_); }

Task<Result<pb::FenceReply>> LocalNodeLink::fence(pb::FenceRequest request) {
  co_await on_pool();
  co_return node_.fence(request);
}

Task<Result<pb::DirtyListReply>> LocalNodeLink::dirty_list(pb::DirtyListRequest request) {
  co_await on_pool();
  co_return node_.dirty_list(request);
}

Task<Result<pb::CleanReply>> LocalNodeLink::clean(pb::CleanRequest request) {
  co_await on_pool();
  co_return node_.clean(request);
}

Task<Result<pb::SetMissingReply>> LocalNodeLink::set_missing(pb::SetMissingRequest request) {
  co_await on_pool();
  co_return node_.set_missing(request);
}

Task<Result<pb::PullReply>> LocalNodeLink::pull(pb::PullRequest request) {
  co_await on_pool();
  co_return co_await node_.pull(std::move(request));
}

Task<Result<pb::HashReply>> LocalNodeLink::hash(pb::HashRequest request) {
  co_await on_pool();
  co_return node_.hash(request);
}

Task<Result<pb::CloneReply>> LocalNodeLink::clone(pb::CloneRequest request) {
  co_await on_pool();
  co_return node_.clone(request);
}

Task<Result<pb::DiskUsageReply>> LocalNodeLink::disk_usage(pb::DiskUsageRequest request) {
  co_await on_pool();
  co_return node_.disk_usage(request);
}

Task<Result<pb::HealthReply>> LocalNodeLink::health() {
  co_await on_pool();
  co_return node_.health();
}

NodeLink::Condition LocalNodeLink::condition() const {
  Condition condition;
  condition.connected = true;
  condition.in_flight = waiting_->size();
  return condition;
}

}  // namespace ukai
