// SPDX-License-Identifier: BSD-2-Clause
#include "disk/map_cache.h"

namespace ukai {

MapCache::View MapCache::find(BlockIndex block) const {
  std::lock_guard lock(mutex_);
  const auto found = views_.find(segment_of(block));
  return found == views_.end() ? nullptr : found->second;
}

Task<Result<MapCache::View>> MapCache::load(BlockIndex block, Geometry geometry) {
  if (auto view = find(block)) co_return view;
  auto entry = co_await catalog_.load_segment(disk_, segment_of(block));
  if (!entry) co_return entry.error();
  auto fine = check_segment(entry->segment, geometry);
  if (!fine) co_return fine.error();
  auto view = std::make_shared<const MapSegmentView>(entry->segment);
  std::lock_guard lock(mutex_);
  co_return views_.emplace(segment_of(block), view).first->second;
}

std::vector<MapCache::View> MapCache::loaded() const {
  std::vector<View> out;
  std::lock_guard lock(mutex_);
  for (const auto& [segment, view] : views_) out.push_back(view);
  return out;
}

void MapCache::forget(std::uint32_t segment) {
  std::lock_guard lock(mutex_);
  views_.erase(segment);
}

}  // namespace ukai
