// SPDX-License-Identifier: BSD-2-Clause
#include "disk/proximity.h"

#include <algorithm>

namespace ukai {

int common_site_depth(std::string_view a, std::string_view b) {
  int depth = 0;
  while (!a.empty() && !b.empty()) {
    const auto a_end = std::min(a.find('/'), a.size());
    const auto b_end = std::min(b.find('/'), b.size());
    if (a.substr(0, a_end) != b.substr(0, b_end)) break;
    ++depth;
    a.remove_prefix(std::min(a_end + 1, a.size()));
    b.remove_prefix(std::min(b_end + 1, b.size()));
  }
  return depth;
}

int rank_of(const NodeDirectory::Entry& node, std::string_view own_site) {
  constexpr int depth_max = 9;
  constexpr int step = 10'000'000;  // larger than any latency in microseconds that is capped below
  if (node.local) return 0;
  const int depth = std::min(common_site_depth(node.site, own_site), depth_max);
  const auto latency = node.link ? node.link->condition().latency : Duration::zero();
  const auto latency_us = std::chrono::duration_cast<std::chrono::microseconds>(latency).count();
  const auto capped = static_cast<int>(std::min<std::int64_t>(latency_us, step - 2));
  return (depth_max + 1 - depth) * step + capped + 1;
}

}  // namespace ukai
