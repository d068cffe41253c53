// SPDX-License-Identifier: BSD-2-Clause
#include "disk/heal_order.h"

#include <map>

namespace ukai {

std::deque<BlockVersion> most_valuable_first(
    const std::set<BlockVersion>& blocks, const std::function<std::size_t(BlockIndex)>& in_sync) {
  std::map<std::size_t, std::deque<BlockVersion>> by_copies;
  for (const BlockVersion& version : blocks) by_copies[in_sync(version.block)].push_back(version);
  std::deque<BlockVersion> out;
  for (const auto& [copies, versions] : by_copies) {
    out.insert(out.end(), versions.begin(), versions.end());
  }
  return out;
}

}  // namespace ukai
