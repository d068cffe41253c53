// SPDX-License-Identifier: BSD-2-Clause
#include "node/interval_set.h"

#include <algorithm>

namespace ukai {

void IntervalSet::add(Extent range) {
  if (range.begin_bytes >= range.end_bytes) return;
  auto at = ranges_.upper_bound(range.begin_bytes);
  if (at != ranges_.begin() && std::prev(at)->second >= range.begin_bytes) --at;
  while (at != ranges_.end() && at->first <= range.end_bytes) {
    range.begin_bytes = std::min(range.begin_bytes, at->first);
    range.end_bytes = std::max(range.end_bytes, at->second);
    at = ranges_.erase(at);
  }
  ranges_.emplace(range.begin_bytes, range.end_bytes);
}

std::vector<Extent> IntervalSet::uncovered(Extent range) const {
  std::vector<Extent> gaps;
  auto at = ranges_.upper_bound(range.begin_bytes);
  if (at != ranges_.begin()) --at;
  std::uint32_t position = range.begin_bytes;
  for (; at != ranges_.end() && at->first < range.end_bytes; ++at) {
    if (at->first > position) gaps.push_back({position, at->first});
    position = std::max(position, at->second);
  }
  if (position < range.end_bytes) gaps.push_back({position, range.end_bytes});
  return gaps;
}

}  // namespace ukai
