// SPDX-License-Identifier: BSD-2-Clause
#pragma once

#include <vector>

#include "ukai/block_map.h"
#include "ukai/result.h"
#include "ukai_host.pb.h"
#include "ukai_records.pb.h"

namespace ukai {

/// What a ChangeDiskRequest makes of a disk's record; pure. Used by the lease holder and, for a
/// disk that nobody holds, by ukaictl. A resize changes `size` only: the caller grows the map with
/// it. Repeating what is already so changes nothing and is no error. Errors: invalid (bad size,
/// name, host, key), refused (shrinking).
Result<pb::DiskRecord> apply_change(pb::DiskRecord record, const pb::ChangeDiskRequest& request);

/// `record` with a smaller size; pure. The caller cuts the map with it (cut_off()). Errors: invalid
/// (a bad size, or no smaller one), refused (a snapshot is larger).
Result<pb::DiskRecord> shrunk(pb::DiskRecord record, std::uint64_t size_bytes);

/// What declaring a stale replica the truth makes of a disk.
struct Recovery {
  pb::DiskRecord record;
  std::vector<pb::MapSegment> segments;  ///< those that changed
  std::vector<NodeId> in_sync;           ///< whose in-sync replicas are given up
  std::uint64_t blocks = 0;              ///< of which the replica was not in sync
};

/// Makes the replica of `node` the truth for all blocks that lie there, under `epoch`; pure. All
/// other members that share blocks with it become missing, to be compared block by block when they
/// return: what they have is newer, and no log of the survivors knows it. `segments` is the whole
/// map and has passed check_segment().
Recovery recover_from(pb::DiskRecord record, const std::vector<pb::MapSegment>& segments,
                      const NodeId& node, Epoch epoch);

/// What a member's log says, asked before anybody told it who is missing.
struct Testimony {
  NodeId node;
  bool crashed = false;              ///< acknowledged changes may be lost on it
  std::vector<std::string> accused;  ///< members that lack something
};

/// Decides who of the members of an unproven disk is up to date, under `epoch`, which is larger
/// than any under which a member went missing; pure. A member that another one accuses knows less
/// than that one. The one that knows most is present, all others become missing in this order, to
/// be compared block by block. A replica that the operator declared the truth (the others are to be
/// compared with it already) is not accused by those.
/// `said`: one for each member. Errors: refused (members accuse each other; the operator decides).
Result<pb::DiskRecord> settle_members(pb::DiskRecord record, const std::vector<Testimony>& said,
                                      Epoch epoch);

/// What taking a node off a disk for good makes of it.
struct NodeDropped {
  pb::DiskRecord record;                 ///< without the member, unless it keeps blocks
  std::vector<pb::MapSegment> segments;  ///< those that changed
  std::vector<BlockRange> lost;          ///< blocks that it keeps, sorted
};

/// Takes `node` off every block that has an in-sync replica elsewhere; pure. A block that has none
/// keeps it: as long as the map names the node, the guest gets errors for the block, never zeros or
/// something older. What other missing members lack stays known: each of the block's in-sync
/// replicas has logged it. `segments` is the whole map and has passed check_segment().
NodeDropped drop_node(pb::DiskRecord record, const std::vector<pb::MapSegment>& segments,
                      const NodeId& node);

}  // namespace ukai
