// SPDX-License-Identifier: BSD-2-Clause
#include "disk/proximity.h"

#include <algorithm>

#include "ukai/site_path.h"

namespace ukai {

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
