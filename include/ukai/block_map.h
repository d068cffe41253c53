// SPDX-License-Identifier: BSD-2-Clause
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "ukai/geometry.h"
#include "ukai/limits.h"
#include "ukai/types.h"
#include "ukai_records.pb.h"

namespace ukai {

/// One replica of one block, as the map has it.
struct Location {
  NodeId node;
  SyncStatus status = SyncStatus::in_sync;
  auto operator<=>(const Location&) const = default;
};

/// How a new disk's blocks lie: all blocks on all nodes, or striped.
struct Placement {
  std::vector<NodeId> nodes;   ///< in the operator's order
  bool stripe = false;         ///< block i on nodes i, i+1, … i+replicas-1 (modulo)
  std::uint32_t replicas = 0;  ///< 0: all nodes without stripe, 1 with
};

/// Refuses no nodes, one named twice, more replicas than nodes, more than limits allow. Without
/// stripe the first `replicas` nodes are taken.
Result<Placement> check_placement(Placement placement);

/// The map of a new disk, all in-sync; one segment for each limits::segment_blocks blocks.
std::vector<pb::MapSegment> make_map(const Geometry& geometry, const Placement& placement);

/// The segments that change or come when a disk grows from `from` to `to`: new blocks continue the
/// layout of the last one. `last` is the last segment of the present map. The first segment
/// returned replaces `last` (it may be equal to it); the others are new.
std::vector<pb::MapSegment> grow_map(const pb::MapSegment& last, const Geometry& from,
                                     const Geometry& to);

/// Number and shape of a segment's blocks are right, sets are not empty, runs point at sets.
Result<> check_segment(const pb::MapSegment& segment, const Geometry& geometry);

/// A decoded segment: block -> replica set, in constant time for unfragmented maps and
/// logarithmic otherwise. Value; immutable after construction, safe to share between threads.
class MapSegmentView {
 public:
  /// `segment` has passed check_segment().
  explicit MapSegmentView(const pb::MapSegment& segment);

  /// The blocks it describes: a whole segment, or less at the end of the disk.
  BlockRange blocks() const { return {BlockIndex{first_block_}, BlockIndex{end_block_}}; }
  const std::vector<Location>& locations(BlockIndex block) const;
  /// Index into sets() of the block's replica set.
  std::size_t set_of(BlockIndex block) const;
  const std::vector<std::vector<Location>>& sets() const { return sets_; }
  /// Number of this segment's blocks that have set `index`.
  std::uint64_t blocks_of_set(std::size_t index) const;

  /// Blocks in a row with the same set.
  struct Span {
    BlockRange blocks;
    std::size_t set;
  };
  /// All blocks of the segment in order; cyclic runs come out block by block.
  std::vector<Span> spans() const;

 private:
  struct Run {
    std::uint64_t begin;  ///< first block, of the disk
    std::uint64_t blocks;
    std::uint32_t first_set;
    std::uint32_t cycle;
  };
  std::uint64_t first_block_ = 0;
  std::uint64_t end_block_ = 0;
  std::vector<std::vector<Location>> sets_;
  std::vector<Run> runs_;
};

inline std::uint32_t segment_of(BlockIndex block) {
  return static_cast<std::uint32_t>(raw(block) / limits::segment_blocks);
}

}  // namespace ukai
