// SPDX-License-Identifier: BSD-2-Clause
#include "disk/extents.h"

#include <algorithm>

namespace ukai {
std::optional<std::uint64_t> ExtentCursor::look(ByteRange block,
                                                const std::vector<Extent>& extents) {
  at_bytes_ = std::max(at_bytes_, block.begin_bytes);
  for (const Extent& extent : extents) {
    const std::uint64_t begin = block.begin_bytes + extent.begin_bytes;
    const std::uint64_t end = std::min(block.begin_bytes + extent.end_bytes, block.end_bytes);
    // The second: a node that speaks of bytes beyond its block is not believed.
    if (end <= at_bytes_ || begin >= end) continue;
    if (data_) return std::max(at_bytes_, begin);
    if (at_bytes_ < begin) return at_bytes_;  // the hole before this extent
    at_bytes_ = end;
  }
  if (!data_ && at_bytes_ < block.end_bytes) return at_bytes_;
  return std::nullopt;
}

}  // namespace ukai
