// SPDX-License-Identifier: BSD-2-Clause
#include "disk/map_cache.h"

#include <fmt/format.h>

#include <algorithm>

namespace ukai {
namespace {

/// The first block behind `segment` in a disk of `geometry`.
BlockIndex end_of(std::uint32_t segment, const Geometry& geometry) {
  const std::uint64_t full = (segment + std::uint64_t{1}) * limits::segment_blocks;
  return BlockIndex{std::min(full, geometry.block_count())};
}

/// The disk may have grown since the caller looked at its size: `geometry`, but with at least the
/// blocks that the segment describes.
Geometry with_blocks_of(const pb::MapSegment& segment, Geometry geometry) {
  std::uint64_t blocks = 0;
  for (const pb::MapRun& run : segment.runs()) blocks += run.blocks();
  const std::uint64_t end =
      segment.segment() * limits::segment_blocks + std::min(blocks, limits::segment_blocks);
  geometry.size_bytes = std::max(geometry.size_bytes, end * geometry.block_size_bytes);
  return geometry;
}

}  // namespace

MapCache::View MapCache::find(BlockIndex block) const {
  std::lock_guard lock(mutex_);
  const auto found = views_.find(segment_of(block));
  const bool has_it = found != views_.end() && found->second->blocks().contains(block);
  return has_it ? found->second : nullptr;
}

MapCache::View MapCache::find_whole(BlockIndex block, Geometry geometry) const {
  auto view = find(block);
  const bool whole = view && view->blocks().end >= end_of(segment_of(block), geometry);
  return whole ? view : nullptr;
}

Task<Result<MapCache::View>> MapCache::load(BlockIndex block, Geometry geometry) {
  const std::uint32_t segment = segment_of(block);
  if (auto view = find_whole(block, geometry)) co_return view;
  auto entry = co_await catalog_.load_segment(disk_, segment);
  if (!entry) co_return entry.error();
  if (entry->segment.segment() != segment) {
    co_return Error{Code::corrupt, fmt::format("map segment {} is in the place of segment {}",
                                               entry->segment.segment(), segment)};
  }
  auto fine = check_segment(entry->segment, with_blocks_of(entry->segment, geometry));
  if (!fine) co_return fine.error();
  auto view = std::make_shared<const MapSegmentView>(entry->segment);
  std::lock_guard lock(mutex_);
  View& kept = views_[segment];
  // Another load may have been faster, and may have seen the disk larger.
  if (!kept || kept->blocks().end < view->blocks().end) kept = std::move(view);
  co_return kept;
}

void MapCache::replace(const pb::MapSegment& segment) {
  auto view = std::make_shared<const MapSegmentView>(segment);
  std::lock_guard lock(mutex_);
  views_[segment.segment()] = std::move(view);
}

std::vector<MapCache::View> MapCache::loaded() const {
  std::vector<View> out;
  std::lock_guard lock(mutex_);
  for (const auto& [index, view] : views_) out.push_back(view);
  return out;
}

}  // namespace ukai
