// SPDX-License-Identifier: BSD-2-Clause
#pragma once

#include <atomic>
#include <condition_variable>
#include <deque>
#include <functional>
#include <memory>
#include <mutex>
#include <thread>

#include "ukai/coordination.h"
#include "ukai/scheduler.h"

namespace ukai {

/// Handlers that run one at a time, in the order they were posted, on the scheduler's threads.
/// Shared by the client and by its handlers on the scheduler, which may outlive it.
class SerialQueue : public std::enable_shared_from_this<SerialQueue> {
 public:
  explicit SerialQueue(Scheduler& scheduler) : scheduler_(scheduler) {}
  void post(Scheduler::Handler handler);

 private:
  void run_one();

  Scheduler& scheduler_;
  std::mutex mutex_;
  std::deque<Scheduler::Handler> handlers_;  // by mutex_
  bool scheduled_ = false;                   // by mutex_
};

/// A function that is not called any more once cancel() has returned, and does not run then
/// either, unless cancel() was called from within it (as std::stop_callback does).
template <class... Args>
class Callback {
 public:
  explicit Callback(std::function<void(Args...)> run) : run_(std::move(run)) {}

  void operator()(Args... args) {
    {
      std::lock_guard lock(mutex_);
      if (cancelled_) return;
      runner_ = std::this_thread::get_id();
    }
    run_(args...);
    std::lock_guard lock(mutex_);
    runner_ = {};
    finished_.notify_all();
  }

  void cancel() {
    std::unique_lock lock(mutex_);
    cancelled_ = true;
    if (runner_ == std::this_thread::get_id()) return;
    finished_.wait(lock, [this] { return runner_ == std::thread::id{}; });
  }

 private:
  const std::function<void(Args...)> run_;
  std::mutex mutex_;
  std::condition_variable finished_;
  bool cancelled_ = false;  // by mutex_
  std::thread::id runner_;  // by mutex_
};

/// Somebody's interest in a znode. Notices that come before the last one was delivered are merged.
class Watcher {
 public:
  explicit Watcher(std::function<void()> changed) : changed_(std::move(changed)) {}
  static void notify(const std::shared_ptr<Watcher>& self, SerialQueue& queue);
  void cancel() { changed_.cancel(); }

 private:
  Callback<> changed_;
  std::atomic<bool> queued_{false};
};

using SessionListener = Callback<SessionState>;

/// What watch() and on_session() hand out: runs `on_destroy` once.
class WatchToken final : public Coordination::Watch {
 public:
  explicit WatchToken(std::function<void()> on_destroy) : on_destroy_(std::move(on_destroy)) {}
  ~WatchToken() override { on_destroy_(); }
  WatchToken(const WatchToken&) = delete;
  WatchToken& operator=(const WatchToken&) = delete;

 private:
  std::function<void()> on_destroy_;
};

}  // namespace ukai
