// SPDX-License-Identifier: BSD-2-Clause
#include "base/async.h"

namespace ukai {

Task<AsyncMutex::Guard> AsyncMutex::lock() {
  OneShot<bool> turn;
  bool waits = false;
  {
    std::lock_guard lock(mutex_);
    waits = locked_;
    if (waits) waiters_.push_back(turn);
    locked_ = true;
  }
  if (waits) co_await turn;
  co_return Guard(this);
}

void AsyncMutex::unlock() {
  std::optional<OneShot<bool>> next;
  {
    std::lock_guard lock(mutex_);
    if (waiters_.empty()) {
      locked_ = false;
      return;
    }
    next = waiters_.front();
    waiters_.pop_front();
  }
  next->resolve(true);
}

std::uint64_t Notifier::ticket() const {
  std::lock_guard lock(mutex_);
  return changes_;
}

void Notifier::notify() {
  std::list<std::shared_ptr<Waiter>> woken;
  {
    std::lock_guard lock(mutex_);
    ++changes_;
    woken.swap(waiters_);
  }
  for (auto& waiter : woken) {
    // Whoever takes the timer away resolves; a timer that is past that point resolves by itself.
    if (scheduler_.cancel(waiter->timer)) {
      scheduler_.post([waiter] { waiter->woken.resolve(true); });
    }
  }
}

Task<bool> Notifier::wait(std::uint64_t ticket, TimePoint deadline) {
  auto waiter = std::make_shared<Waiter>();
  {
    std::lock_guard lock(mutex_);
    if (changes_ != ticket) co_return true;
    const auto left = std::max<Duration>(deadline - scheduler_.now(), Duration::zero());
    waiters_.push_back(waiter);
    waiter->timer = scheduler_.after(left, [this, waiter] {
      {
        std::lock_guard inner(mutex_);
        waiters_.remove(waiter);
      }
      waiter->woken.resolve(false);
    });
  }
  OneShot<bool> woken = waiter->woken;
  co_return co_await woken;
}

bool TaskScope::spawn(Task<void> task) {
  {
    std::lock_guard lock(mutex_);
    if (closed_) return false;
    ++running_;
  }
  ukai::spawn(std::move(task), [this] { leave(); });
  return true;
}

void TaskScope::leave() {
  std::deque<OneShot<bool>> woken;
  {
    std::lock_guard lock(mutex_);
    if (--running_ == 0 && closed_) woken.swap(waiters_);
  }
  for (auto& waiter : woken) waiter.resolve(true);
}

Task<void> TaskScope::close() {
  OneShot<bool> ended;
  {
    std::lock_guard lock(mutex_);
    closed_ = true;
    if (running_ == 0) co_return;
    waiters_.push_back(ended);
  }
  co_await ended;
}

}  // namespace ukai
