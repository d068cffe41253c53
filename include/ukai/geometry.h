// SPDX-License-Identifier: BSD-2-Clause
#pragma once

#include <vector>

#include "ukai/types.h"

namespace ukai {

/// Bytes of a disk <-> its blocks. Pure value.
struct Geometry {
  std::uint64_t size_bytes = 0;
  std::uint32_t block_size_bytes = 0;

  std::uint64_t block_count() const {
    return (size_bytes + block_size_bytes - 1) / block_size_bytes;
  }
  std::uint64_t segment_count() const;
  BlockIndex block_of(std::uint64_t offset_bytes) const {
    return BlockIndex{offset_bytes / block_size_bytes};
  }
  ByteRange range_of(BlockIndex block) const;
  /// Cuts a range of the disk, which must lie within size_bytes, into parts of single blocks.
  std::vector<BlockPart> split(ByteRange range) const;
  ByteRange range_of(const BlockPart& part) const;
};

/// Refuses block sizes that are not a power of two within the limits, and sizes of 0 or above
/// the limit. A size that is no multiple of the block size is refused as well; the message names
/// the next larger one that is.
Result<Geometry> make_geometry(std::uint64_t size_bytes, std::uint64_t block_size_bytes);

}  // namespace ukai
