// SPDX-License-Identifier: BSD-2-Clause
#include "disk/lost_writes.h"

#include <algorithm>
#include <utility>

namespace ukai {

/// Every block that has a location on this member is in sync on another that lost nothing.
bool LostWrites::held_elsewhere(std::size_t index, const std::vector<std::size_t>& losers) {
  const auto views = core_.changed_map();
  std::lock_guard lock(core_.mutex);
  for (const auto& view : views) {
    for (const auto& locations : view->sets()) {
      const bool here = std::any_of(locations.begin(), locations.end(), [&](const Location& at) {
        return at.node == core_.replicas[index]->node;
      });
      if (!here) continue;
      const auto in_sync = core_.members.in_sync(locations);
      const bool other = std::any_of(in_sync.begin(), in_sync.end(), [&](std::size_t member) {
        return std::find(losers.begin(), losers.end(), member) == losers.end();
      });
      if (!other) return false;
    }
  }
  return true;
}

void LostWrites::settle() {
  std::vector<std::size_t> losers;
  {
    std::lock_guard lock(core_.mutex);
    for (const auto& replica : core_.replicas) {
      if (replica->lost_writes) losers.push_back(replica->index);
    }
  }
  bool lost = false;
  for (std::size_t index : losers) lost = lost || !held_elsewhere(index, losers);
  std::lock_guard lock(core_.mutex);
  for (std::size_t index : losers) core_.replicas[index]->lost_writes = false;
  core_.writes_lost = core_.writes_lost || lost;
}

bool LostWrites::take() {
  settle();
  std::lock_guard lock(core_.mutex);
  return std::exchange(core_.writes_lost, false);
}

}  // namespace ukai
