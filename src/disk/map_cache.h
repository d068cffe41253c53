// SPDX-License-Identifier: BSD-2-Clause
#pragma once

#include <map>
#include <memory>
#include <mutex>
#include <vector>

#include "ukai/block_map.h"
#include "ukai/catalog.h"

namespace ukai {

/// The block map of one attached disk, loaded a segment at a time on first use. Valid as long as
/// the lease stands, since only its holder changes the map. Threads: safe from any.
///
/// Invariant: a block once found stays found. A disk that grows gets blocks in its last segment; a
/// view without them is replaced when somebody needs one with them. Where blocks lie changes only
/// through replace(): whoever plans by a view looks it up and plans under DiskCore::mutex.
class MapCache {
 public:
  using View = std::shared_ptr<const MapSegmentView>;  ///< shared: readers outlive a replacement

  MapCache(Catalog& catalog, DiskId disk) : catalog_(catalog), disk_(disk) {}

  /// The loaded segment that has `block`, or null.
  View find(BlockIndex block) const;
  /// What load() would find without loading, or null.
  View find_whole(BlockIndex block, Geometry geometry) const;
  /// The segment with all blocks that it has in a disk of `geometry`, or more when the disk has
  /// grown since. Loads when needed. Errors: corrupt (this disk's map is damaged), as Catalog's
  /// otherwise.
  Task<Result<View>> load(BlockIndex block, Geometry geometry);
  /// The map has changed, by ourselves. Call with DiskCore::mutex held.
  void replace(const pb::MapSegment& segment);
  /// Every segment loaded so far.
  std::vector<View> loaded() const;

 private:
  Catalog& catalog_;
  const DiskId disk_;
  mutable std::mutex mutex_;
  std::map<std::uint32_t, View> views_;  // by mutex_
};

}  // namespace ukai
