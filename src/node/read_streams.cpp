// SPDX-License-Identifier: BSD-2-Clause
#include "node/read_streams.h"

#include <algorithm>

#include "ukai/limits.h"

namespace ukai {
namespace {

/// How far ahead of a reader, at least: what comes sooner than the device takes is too late.
constexpr std::uint32_t ahead_bytes_min = 8U << 20;

std::uint64_t blocks_ahead(std::uint32_t block_size_bytes) {
  return std::max<std::uint64_t>(1, ahead_bytes_min / block_size_bytes);
}

}  // namespace

/// True when the read goes on where the stream has got to; moves the stream to that block then.
bool ReadStreams::goes_on(Stream& stream, BlockIndex block, Extent range,
                          std::uint32_t block_size_bytes) {
  if (stream.next_bytes == 0) return false;
  if (stream.block == block) return stream.next_bytes == range.begin_bytes;
  if (range.begin_bytes != 0 || stream.next_bytes != block_size_bytes) return false;
  if (block < stream.block || raw(block) - raw(stream.block) > limits::disk_nodes_max) return false;
  stream.step = raw(block) - raw(stream.block);
  stream.block = block;
  return true;
}

std::optional<BlockIndex> ReadStreams::note(BlockIndex block, Extent range,
                                            std::uint32_t block_size_bytes) {
  const std::lock_guard lock(mutex_);
  for (Stream& stream : streams_) {
    if (!goes_on(stream, block, range, block_size_bytes)) continue;
    stream.next_bytes = range.end_bytes;
    const std::uint32_t middle = block_size_bytes / 2;
    if (range.begin_bytes >= middle || range.end_bytes < middle) return std::nullopt;
    return BlockIndex{raw(block) + stream.step * blocks_ahead(block_size_bytes)};
  }
  streams_[next_place_] = Stream{block, range.end_bytes};
  next_place_ = (next_place_ + 1) % streams_.size();
  return std::nullopt;
}

}  // namespace ukai
