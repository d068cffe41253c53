// SPDX-License-Identifier: BSD-2-Clause
#pragma once

#include <atomic>
#include <cstdint>
#include <deque>
#include <list>
#include <memory>
#include <mutex>
#include <optional>

#include "ukai/scheduler.h"
#include "ukai/task.h"

namespace ukai {

/// Mutual exclusion across co_await, first come first served. The next owner resumes on the thread
/// that unlocks.
class AsyncMutex {
 public:
  /// Holds the lock until destroyed.
  class Guard {
   public:
    explicit Guard(AsyncMutex* mutex) : mutex_(mutex) {}
    Guard(Guard&& other) noexcept : mutex_(std::exchange(other.mutex_, nullptr)) {}
    Guard& operator=(Guard&&) = delete;
    ~Guard() {
      if (mutex_) mutex_->unlock();
    }

   private:
    AsyncMutex* mutex_;
  };

  Task<Guard> lock();

 private:
  void unlock();

  std::mutex mutex_;
  bool locked_ = false;                // by mutex_
  std::deque<OneShot<bool>> waiters_;  // by mutex_
};

/// Lets coroutines wait until something may have changed. A waiter that looks at the state, and
/// then waits with the ticket it took before looking, misses no change.
class Notifier {
 public:
  explicit Notifier(Scheduler& scheduler) : scheduler_(scheduler) {}

  std::uint64_t ticket() const;
  /// Wakes all waiters, on scheduler threads.
  void notify();
  /// Returns when notify() has been called since `ticket` was taken, or at `deadline`; false then.
  Task<bool> wait(std::uint64_t ticket, TimePoint deadline);

 private:
  struct Waiter {
    OneShot<bool> woken;
    Scheduler::TimerId timer;
  };
  Scheduler& scheduler_;
  mutable std::mutex mutex_;
  std::uint64_t changes_ = 0;                   // by mutex_
  std::list<std::shared_ptr<Waiter>> waiters_;  // by mutex_
};

/// Counts detached work so that its owner can wait for the end of it.
class TaskScope {
 public:
  /// Runs `task` detached. False: closed already, the task never starts.
  bool spawn(Task<void> task);
  /// Refuses new work from now on and resumes when the last has ended.
  Task<void> close();

 private:
  void leave();

  std::mutex mutex_;
  std::size_t running_ = 0;            // by mutex_
  bool closed_ = false;                // by mutex_
  std::deque<OneShot<bool>> waiters_;  // by mutex_
};

/// The value of `task`, or `late` when it takes longer than `patience`; the task then runs on by
/// itself and its value is dropped.
template <class T>
Task<T> within(Scheduler& scheduler, Duration patience, Task<T> task, T late) {
  struct Race {
    std::atomic<bool> over{false};
    OneShot<T> winner;
  };
  auto race = std::make_shared<Race>();
  const auto timer = scheduler.after(patience, [race, late = std::move(late)]() mutable {
    if (!race->over.exchange(true)) race->winner.resolve(std::move(late));
  });
  spawn_into<T>(std::move(task), [race, &scheduler, timer](T value) {
    if (race->over.exchange(true)) return;
    scheduler.cancel(timer);
    race->winner.resolve(std::move(value));
  });
  OneShot<T> winner = race->winner;
  co_return co_await winner;
}

}  // namespace ukai
