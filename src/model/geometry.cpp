// SPDX-License-Identifier: BSD-2-Clause
#include "ukai/geometry.h"

#include <fmt/format.h>

#include <algorithm>
#include <bit>
#include <cassert>

#include "ukai/limits.h"

namespace ukai {

std::uint64_t Geometry::segment_count() const {
  return (block_count() + limits::segment_blocks - 1) / limits::segment_blocks;
}

ByteRange Geometry::range_of(BlockIndex block) const {
  const std::uint64_t begin = raw(block) * block_size_bytes;
  return {begin, std::min(begin + block_size_bytes, size_bytes)};
}

ByteRange Geometry::range_of(const BlockPart& part) const {
  const std::uint64_t begin = raw(part.block) * block_size_bytes + part.offset_bytes;
  return {begin, begin + part.length_bytes};
}

std::vector<BlockPart> Geometry::split(ByteRange range) const {
  assert(range.end_bytes <= size_bytes);
  std::vector<BlockPart> parts;
  for (std::uint64_t at = range.begin_bytes; at < range.end_bytes;) {
    const auto offset = static_cast<std::uint32_t>(at % block_size_bytes);
    const auto length = static_cast<std::uint32_t>(
        std::min<std::uint64_t>(block_size_bytes - offset, range.end_bytes - at));
    parts.push_back({block_of(at), offset, length});
    at += length;
  }
  return parts;
}

Result<Geometry> make_geometry(std::uint64_t size_bytes, std::uint64_t block_size_bytes) {
  if (!std::has_single_bit(block_size_bytes) || block_size_bytes < limits::block_size_bytes_min ||
      block_size_bytes > limits::block_size_bytes_max) {
    return Error{Code::invalid,
                 fmt::format("block size {} is not a power of two from {} to {}", block_size_bytes,
                             format_size(limits::block_size_bytes_min),
                             format_size(limits::block_size_bytes_max))};
  }
  if (size_bytes == 0) return Error{Code::invalid, "size is 0; a disk has at least one block"};
  if (size_bytes > limits::disk_size_bytes_max) {
    return Error{Code::invalid, fmt::format("size {} is over the limit of {}", size_bytes,
                                            format_size(limits::disk_size_bytes_max))};
  }
  if (size_bytes % block_size_bytes != 0) {
    const std::uint64_t next = (size_bytes / block_size_bytes + 1) * block_size_bytes;
    return Error{Code::invalid,
                 fmt::format("size {} is no multiple of the block size {}; the next one is {}",
                             size_bytes, block_size_bytes, next)};
  }
  return Geometry{size_bytes, static_cast<std::uint32_t>(block_size_bytes)};
}

}  // namespace ukai
