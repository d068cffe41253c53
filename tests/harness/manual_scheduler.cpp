// SPDX-License-Identifier: BSD-2-Clause
#include "harness/manual_scheduler.h"

#include <algorithm>

namespace ukai::test {

Scheduler::TimerId ManualScheduler::after(Duration delay, Handler handler) {
  const std::uint64_t id = next_timer_++;
  timers_.emplace(TimerKey{now_ + delay, id}, std::move(handler));
  return TimerId{id};
}

bool ManualScheduler::cancel(TimerId id) {
  const auto found = std::find_if(timers_.begin(), timers_.end(), [id](const auto& timer) {
    return timer.first.second == static_cast<std::uint64_t>(id);
  });
  if (found == timers_.end()) return false;
  timers_.erase(found);
  return true;
}

bool ManualScheduler::step() {
  if (ready_.empty()) {
    if (timers_.empty()) return false;
    auto next = timers_.extract(timers_.begin());
    now_ = std::max(now_, next.key().first);
    ready_.push_back(std::move(next.mapped()));
  }
  Handler handler = std::move(ready_.front());
  ready_.pop_front();
  handler();
  return true;
}

void ManualScheduler::run_for(Duration time) {
  const TimePoint end = now_ + time;
  while (!ready_.empty() || (!timers_.empty() && timers_.begin()->first.first <= end)) step();
  now_ = end;
}

void ManualScheduler::run_ready() {
  while (!ready_.empty()) step();
}

}  // namespace ukai::test
