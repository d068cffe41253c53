// SPDX-License-Identifier: BSD-2-Clause
#include <algorithm>
#include <set>

#include "ukai/disk_change.h"
#include "ukai/location_change.h"
#include "ukai/members.h"

namespace ukai {
namespace {

std::vector<Location> locations_of(const pb::ReplicaSet& set) {
  std::vector<Location> out;
  for (int i = 0; i < set.nodes_size(); ++i) {
    out.push_back({NodeId(set.nodes(i)), static_cast<SyncStatus>(set.status(i))});
  }
  return out;
}

pb::ReplicaSet without(const pb::ReplicaSet& set, const NodeId& node) {
  pb::ReplicaSet out;
  for (int i = 0; i < set.nodes_size(); ++i) {
    if (set.nodes(i) == node.str()) continue;
    out.add_nodes(set.nodes(i));
    out.add_status(set.status(i));
  }
  return out;
}

bool names(const pb::ReplicaSet& set, const NodeId& node) {
  return std::find(set.nodes().begin(), set.nodes().end(), node.str()) != set.nodes().end();
}

/// Whether somebody else's replica of such a block is in sync.
bool served_without(const pb::ReplicaSet& set, const MemberTable& members, const NodeId& node) {
  const auto in_sync = members.in_sync(locations_of(set));
  return std::any_of(in_sync.begin(), in_sync.end(),
                     [&](std::size_t index) { return members.node(index) != node; });
}

void add_blocks(std::vector<BlockRange>& lost, BlockRange blocks) {
  if (!lost.empty() && lost.back().end == blocks.begin) {
    lost.back().end = blocks.end;
  } else {
    lost.push_back(blocks);
  }
}

}  // namespace

NodeDropped drop_node(pb::DiskRecord record, const std::vector<pb::MapSegment>& segments,
                      const NodeId& node) {
  const MemberTable members(record);
  NodeDropped out;
  for (const pb::MapSegment& segment : segments) {
    pb::MapSegment changed = segment;
    bool differs = false;
    std::set<std::size_t> kept;
    for (int i = 0; i < segment.sets_size(); ++i) {
      const pb::ReplicaSet& set = segment.sets(i);
      if (!names(set, node)) continue;
      if (served_without(set, members, node)) {
        *changed.mutable_sets(i) = without(set, node);
        differs = true;
      } else {
        kept.insert(static_cast<std::size_t>(i));
      }
    }
    if (differs) out.segments.push_back(std::move(changed));
    if (kept.empty()) continue;
    for (const auto& span : MapSegmentView(segment).spans()) {
      if (kept.contains(span.set)) add_blocks(out.lost, span.blocks);
    }
  }
  out.record = with_pending(std::move(record), segments, out.segments);
  if (out.lost.empty()) {
    auto& all = *out.record.mutable_members();
    all.erase(std::remove_if(all.begin(), all.end(),
                             [&](const pb::Member& member) { return member.node() == node.str(); }),
              all.end());
  }
  return out;
}

}  // namespace ukai
