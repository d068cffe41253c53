// SPDX-License-Identifier: BSD-2-Clause
#pragma once

#include <optional>
#include <vector>

#include "ukai/extent_list.h"
#include "ukai/types.h"

namespace ukai {

/// Looks through the blocks of a disk in order for the first byte of data, or of a hole, at or
/// after an offset. A hole that spans several blocks begins where the first of them says.
class ExtentCursor {
 public:
  ExtentCursor(std::uint64_t offset_bytes, bool data) : at_bytes_(offset_bytes), data_(data) {}

  /// The offset if it lies in this block. Blocks must be given in order, without gaps.
  std::optional<std::uint64_t> look(ByteRange block, const std::vector<Extent>& extents);

 private:
  std::uint64_t at_bytes_;
  bool data_;
};

}  // namespace ukai
