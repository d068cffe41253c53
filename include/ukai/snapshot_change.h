// SPDX-License-Identifier: BSD-2-Clause
#pragma once

#include <set>
#include <string>
#include <vector>

#include "ukai/block_map.h"
#include "ukai/history.h"
#include "ukai/result.h"
#include "ukai_records.pb.h"

namespace ukai {

/// What snapshots make of a disk's record; all pure.

/// The record with the generation after `head` reserved, unless it is already.
pb::DiskRecord with_next_generation(pb::DiskRecord record, Generation head);
/// Names a frozen generation. invalid: no such name, or too many; exists.
Result<pb::DiskRecord> with_snapshot(pb::DiskRecord record, const pb::Snapshot& snapshot);
/// not_found.
Result<pb::DiskRecord> without_snapshot(pb::DiskRecord record, const std::string& name);
/// The head goes on from a snapshot, as a branch; what it held since the last one is nobody's then.
/// Errors: not_found, no_space (too many rollbacks for one record).
Result<pb::DiskRecord> rolled_back(pb::DiskRecord record, const std::string& name);
/// The order to delete the versions that nobody can read any more, while changes go to `head`. The
/// caller fills in whose lease it was given under.
pb::TrashRecord order_to_delete_versions(const pb::DiskRecord& record, Generation head);

/// A new disk of what a generation of another one holds.
struct Clone {
  pb::DiskRecord record;
  std::vector<pb::MapSegment> segments;
};
/// `record` has id, name and size; of `source`, `segments` is the whole map and sound. Blocks lie
/// where the source's do: in sync on those of `made_on` where the source's replica is, out of sync
/// on others. unreachable: a block would have no replica in sync.
Result<Clone> clone_of(pb::DiskRecord record, const pb::DiskRecord& source,
                       const std::vector<pb::MapSegment>& segments,
                       const std::set<NodeId>& made_on);

}  // namespace ukai
