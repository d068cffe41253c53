// SPDX-License-Identifier: BSD-2-Clause
#include "simulation/sim_scheduler.h"

#include <algorithm>

namespace ukai::sim {

Scheduler::TimerId SimScheduler::after(Duration delay, Handler handler) {
  const Key key{now_ + std::max(delay, Duration::zero()), random_(), next_id_++};
  queue_.emplace(key, std::move(handler));
  keys_.emplace(key.id, key);
  return TimerId{key.id};
}

bool SimScheduler::cancel(TimerId id) {
  const auto found = keys_.find(static_cast<std::uint64_t>(id));
  if (found == keys_.end()) return false;
  queue_.erase(found->second);
  keys_.erase(found);
  return true;
}

bool SimScheduler::step(TimePoint end) {
  if (queue_.empty() || queue_.begin()->first.when > end) {
    now_ = std::max(now_, end);
    return false;
  }
  auto item = queue_.extract(queue_.begin());
  keys_.erase(item.key().id);
  now_ = std::max(now_, item.key().when);
  item.mapped()();
  return true;
}

}  // namespace ukai::sim
