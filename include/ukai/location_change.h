// SPDX-License-Identifier: BSD-2-Clause
#pragma once

#include <map>
#include <vector>

#include "ukai/block_map.h"
#include "ukai/result.h"
#include "ukai_records.pb.h"

namespace ukai {

/// One replica that a disk's map has or is to have.
struct BlockReplica {
  BlockIndex block;
  NodeId node;
  auto operator<=>(const BlockReplica&) const = default;
};

/// What a change of locations makes of a disk (design.md section 7).
struct LocationsChanged {
  pb::DiskRecord record;
  std::vector<pb::MapSegment> segments;  ///< those that changed
  std::uint64_t replicas = 0;            ///< that came, went, or changed their status
  std::map<NodeId, std::vector<BlockRange>> taken_off;  ///< blocks whose location there went
};

/// Whose locations change: those of `blocks` that have one on `where` (empty: all) on `nodes`.
struct LocationsWanted {
  std::vector<NodeId> nodes;
  BlockRange blocks;
  NodeId where;
  bool only_out_of_sync = false;  ///< of a removal: what is in sync stays
};

/// Gives each of the blocks a location on each of the nodes, out of sync; a block that has one
/// there keeps it as it is. Nodes that are new become members. Pure. `segments` is the whole map
/// and has passed check_segment(). Errors: invalid (more replicas or members than a disk can have).
Result<LocationsChanged> add_locations(pb::DiskRecord record,
                                       const std::vector<pb::MapSegment>& segments,
                                       const LocationsWanted& wanted);

/// Takes the locations of the blocks on the nodes off; what is not there is no error. What missing
/// members lack of these blocks may be logged on nobody else: their replicas become `syncing`, that
/// is, are compared as a whole and without being asked. A member without a location is marked as
/// gone. Pure; `segments` as above. Errors: refused (a block would lose its last in-sync replica).
Result<LocationsChanged> remove_locations(pb::DiskRecord record,
                                          const std::vector<pb::MapSegment>& segments,
                                          const LocationsWanted& wanted);

/// Makes the disk smaller: its last segment is `segments` of the outcome, those after it go, and
/// what is beyond the new size is taken off all members. A member without a location is marked as
/// gone. Pure; `segments` as above. Errors: invalid (no size for this disk, or larger than it is),
/// refused (a snapshot is larger).
Result<LocationsChanged> cut_off(pb::DiskRecord record, const std::vector<pb::MapSegment>& segments,
                                 std::uint64_t size_bytes);

/// Sets the status of these replicas; those that the map does not have are left out. Pure.
/// `segments`: at least those of the blocks, as above; `replicas` is sorted.
LocationsChanged set_status(pb::DiskRecord record, const std::vector<pb::MapSegment>& segments,
                            const std::vector<BlockReplica>& replicas, SyncStatus status);

/// `record` after its map changed from `before` to `after` (segments of the same numbers, or new
/// ones): how many replicas are not in sync.
pb::DiskRecord with_pending(pb::DiskRecord record, const std::vector<pb::MapSegment>& before,
                            const std::vector<pb::MapSegment>& after);

/// Without the members that are gone: their places in the missing mask are given to others. For
/// whoever takes the lease, as places are constant under one epoch.
pb::DiskRecord without_gone(pb::DiskRecord record);

}  // namespace ukai
