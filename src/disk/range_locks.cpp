// SPDX-License-Identifier: BSD-2-Clause
#include "disk/range_locks.h"

#include <algorithm>
#include <cassert>

namespace ukai {

/// True when a held entry, or a waiting one before `end`, stands in the way of `entry`.
bool RangeLocks::blocked(const Entry& entry, Entries::iterator end) const {
  auto in_the_way = [&](const std::shared_ptr<Entry>& other) { return conflict(*other, entry); };
  if (std::any_of(held_.begin(), held_.end(), in_the_way)) return true;
  return std::any_of(waiting_.begin(), Entries::const_iterator(end),
                     [&](const auto& other) { return !other->is_drain && in_the_way(other); });
}

RangeLocks::Guard RangeLocks::acquire_now(ByteRange range, Mode mode) {
  auto entry = std::make_shared<Entry>();
  entry->range = range;
  entry->mode = mode;
  std::lock_guard lock(mutex_);
  if (blocked(*entry, waiting_.end())) return Guard();
  held_.push_front(std::move(entry));
  return Guard(this, held_.begin());
}

Task<RangeLocks::Guard> RangeLocks::acquire(ByteRange range, Mode mode, Duration patience) {
  auto entry = std::make_shared<Entry>();
  entry->range = range;
  entry->mode = mode;
  {
    std::lock_guard lock(mutex_);
    if (!blocked(*entry, waiting_.end())) {
      held_.push_front(entry);
      co_return Guard(this, held_.begin());
    }
    entry->granted.emplace();
    waiting_.push_back(entry);
    entry->timed = true;
    entry->timer = scheduler_.after(patience, [this, entry] { give_up(entry); });
  }
  OneShot<bool> granted = *entry->granted;
  const bool ours = co_await granted;
  if (!ours) co_return Guard();
  std::lock_guard lock(mutex_);
  const auto at = std::find(held_.begin(), held_.end(), entry);
  assert(at != held_.end());
  co_return Guard(this, at);
}

Task<void> RangeLocks::drain(ByteRange range, Mode of) {
  auto entry = std::make_shared<Entry>();
  entry->range = range;
  entry->mode = of;
  entry->is_drain = true;
  {
    std::lock_guard lock(mutex_);
    if (!blocked(*entry, waiting_.end())) co_return;
    entry->granted.emplace();
    waiting_.push_back(entry);
  }
  OneShot<bool> granted = *entry->granted;
  co_await granted;
}

void RangeLocks::give_up(const std::shared_ptr<Entry>& entry) {
  std::list<std::shared_ptr<Entry>> ready;
  {
    std::lock_guard lock(mutex_);
    const auto at = std::find(waiting_.begin(), waiting_.end(), entry);
    if (at == waiting_.end()) return;  // granted in the meantime
    waiting_.erase(at);
    ready = take_ready();
  }
  entry->granted->resolve(false);
  for (auto& next : ready) next->granted->resolve(true);
}

void RangeLocks::release(Entries::iterator held) {
  std::list<std::shared_ptr<Entry>> ready;
  {
    std::lock_guard lock(mutex_);
    held_.erase(held);
    if (waiting_.empty()) return;
    ready = take_ready();
  }
  for (auto& next : ready) next->granted->resolve(true);
}

/// Moves every waiter that nothing stands in the way of any more to the held ones.
std::list<std::shared_ptr<RangeLocks::Entry>> RangeLocks::take_ready() {
  std::list<std::shared_ptr<Entry>> ready;
  for (auto at = waiting_.begin(); at != waiting_.end();) {
    if (blocked(**at, at)) {
      ++at;
      continue;
    }
    auto entry = *at;
    at = waiting_.erase(at);
    if (entry->timed) scheduler_.cancel(entry->timer);
    if (!entry->is_drain) held_.push_front(entry);
    ready.push_back(std::move(entry));
  }
  return ready;
}

}  // namespace ukai
