// SPDX-License-Identifier: BSD-2-Clause
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "ukai/block_map.h"
#include "ukai/catalog.h"
#include "ukai/result.h"

/// Which blocks are to come to which node; no I/O.
namespace ukai::ctl {

/// A node that takes blocks, and how large a share of them.
struct Target {
  NodeId node;
  std::uint64_t weight = 1;  ///< its free bytes
};

/// Where copies are to go, as typed after --to: nodes by name, "site=jp/osaka" (and all below it)
/// or "label=ssd".
struct Targets {
  std::vector<Target> nodes;
  bool selected = false;  ///< by site or label: the blocks are shared among them
};
/// invalid: names and selectors mixed, or a node twice. not_found: an unknown node, or nobody
/// matches. refused: who is named does not run or is being drained, or all that match.
Result<Targets> resolve_targets(const std::vector<std::string>& typed,
                                const std::vector<NodeInfo>& nodes);

struct PlannedMove {
  pb::JobMove move;
  std::uint64_t blocks = 0;     ///< that get a copy
  std::uint64_t bytes_max = 0;  ///< if all of them were full
};
struct MovePlan {
  pb::DiskRecord disk;
  std::vector<PlannedMove> moves;
  std::optional<std::uint64_t> seconds;  ///< estimated
};

struct MoveWish {
  BlockRange blocks;
  NodeId from;  ///< empty: replicas are added
  Targets to;
  bool share = false;  ///< each block goes to one of them; else to all
  // -- what jobs have done of it before
  std::vector<pb::JobMove> under_way{};   ///< by jobs that go on
  std::vector<pb::JobMove> left_lying{};  ///< by jobs that have failed or were cancelled
};
/// `segments` is the whole map and has passed check_segment(). What is under way is not planned
/// again. A block that is in sync on a target is not given to it again; shared blocks that move go,
/// in stretches by weight, to nodes that do not have them, but to where they have come by a job
/// that did not end well; shared blocks that are added go nowhere if one of the targets has them.
/// refused: a shared block that moves lies on all of them already. invalid: too many pieces for one
/// job.
Result<MovePlan> plan_moves(const pb::DiskRecord& disk, const std::vector<pb::MapSegment>& segments,
                            const MoveWish& wish);

/// Does the move do a part of what is wished?
bool serves(const pb::JobMove& move, const MoveWish& wish);

}  // namespace ukai::ctl
