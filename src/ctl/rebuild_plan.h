// SPDX-License-Identifier: BSD-2-Clause
#pragma once

#include <map>
#include <set>
#include <string>
#include <vector>

#include "ukai/block_map.h"
#include "ukai_node.pb.h"
#include "ukai_records.pb.h"

namespace ukai::ctl {

/// What one node holds of one disk.
struct NodeHolding {
  std::string node;
  pb::HeldDisk disk;
  std::vector<BlockRange> blocks;                         ///< that have a file there
  std::map<std::string, std::vector<BlockRange>> missed;  ///< by the member that lacks them
};

/// A disk that nodes hold and the metadata do not know, as it would be entered there.
struct Proposal {
  pb::DiskRecord record;  ///< unproven, without creation time
  std::vector<pb::MapSegment> segments;
  std::uint64_t blocks_found = 0;   ///< the others are zeros, and where they lay is guessed
  std::vector<std::string> silent;  ///< members that were not asked; the map leaves them out
};

/// Decides from what the nodes hold; no I/O.
///
/// A block lies where it has a file, where a log says that it was missed, and where such a log is;
/// nowhere else: a node without any trace of it would give zeros for it. Blocks that nobody has are
/// laid out like the others. Nodes that the newest session did not have as members count for
/// nothing: they were taken off the disk.
/// `holdings`: of one disk, at least one. `taken`: names that other disks have.
/// Errors: corrupt (the nodes contradict each other about what cannot be decided).
Result<Proposal> propose(const std::string& disk_id, const std::vector<NodeHolding>& holdings,
                         const std::set<std::string>& taken);

}  // namespace ukai::ctl
