// SPDX-License-Identifier: BSD-2-Clause
#pragma once

#include <deque>
#include <functional>
#include <set>

#include "disk/copy.h"

namespace ukai {

/// The blocks in the order of how much their healing is worth: those with the fewest replicas in
/// sync first, which one more failure would cost; among those alike in the order of the disk. Pure.
std::deque<BlockVersion> most_valuable_first(const std::set<BlockVersion>& blocks,
                                             const std::function<std::size_t(BlockIndex)>& in_sync);

}  // namespace ukai
