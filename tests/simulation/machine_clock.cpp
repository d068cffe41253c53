// SPDX-License-Identifier: BSD-2-Clause
#include "simulation/machine_clock.h"

#include <utility>

namespace ukai::sim {

TimePoint MachineClock::now() const {
  const auto world = static_cast<double>(world_.now().time_since_epoch().count());
  return TimePoint(began_ + Duration(static_cast<std::int64_t>(world * rate_)));
}

Scheduler::TimerId MachineClock::after(Duration delay, Handler handler) {
  const std::uint64_t id = next_id_++;
  const Duration due_in(
      static_cast<std::int64_t>(static_cast<double>(std::max(delay, Duration()).count()) / rate_));
  // One more: rounding must not make a timer run before its time.
  const Duration rounded = delay > Duration::zero() ? due_in + Duration(1) : Duration::zero();
  items_[id].handler = std::move(handler);
  items_[id].timer = world_.after(rounded, [this, id] { due(id); });
  return TimerId{id};
}

bool MachineClock::cancel(TimerId id) {
  const auto at = items_.find(static_cast<std::uint64_t>(id));
  if (at == items_.end()) return false;
  if (held_.erase(at->first) == 0) world_.cancel(at->second.timer);
  items_.erase(at);
  return true;
}

void MachineClock::due(std::uint64_t id) {
  if (paused_) {
    held_.insert(id);
    return;
  }
  auto item = items_.extract(id);
  item.mapped().handler();
}

void MachineClock::resume() {
  paused_ = false;
  for (const std::uint64_t id : std::exchange(held_, {})) {
    items_.at(id).timer = world_.after(Duration::zero(), [this, id] { due(id); });
  }
}

}  // namespace ukai::sim
