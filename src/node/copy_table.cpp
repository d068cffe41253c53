// SPDX-License-Identifier: BSD-2-Clause
#include "node/copy_table.h"

#include <fmt/format.h>

namespace ukai {
namespace {

/// How long a change is remembered: longer than any I/O deadline, after which it is no longer on
/// its way to any replica.
constexpr auto copy_memory = std::chrono::seconds(15);

}  // namespace

std::shared_ptr<BlockCopy> CopyTable::before_change(LogKey key, Extent range, Sequence sequence,
                                                    TimePoint now) {
  const std::lock_guard lock(mutex_);
  while (!recent_.empty() && now - recent_.front().when > copy_memory) recent_.pop_front();
  recent_.push_back({key, range, sequence, now});
  const auto at = copies_.find(key);
  return at == copies_.end() ? nullptr : at->second;
}

Result<std::shared_ptr<BlockCopy>> CopyTable::begin(LogKey key, Sequence from) {
  const std::lock_guard lock(mutex_);
  auto [at, added] = copies_.try_emplace(key);
  if (!added)
    return Error{Code::busy, fmt::format("block {} is being copied already", raw(key.block))};
  at->second = std::make_shared<BlockCopy>();
  if (from != Sequence{0}) {
    for (const Change& change : recent_)
      if (change.key == key && change.sequence >= from) at->second->covered.add(change.range);
  }
  return at->second;
}

void CopyTable::end(LogKey key, const std::shared_ptr<BlockCopy>& copy) {
  const std::lock_guard lock(mutex_);
  const auto at = copies_.find(key);
  if (at != copies_.end() && at->second == copy) copies_.erase(at);
}

void CopyTable::reset() {
  const std::lock_guard lock(mutex_);
  recent_.clear();
  copies_.clear();
}

}  // namespace ukai
