// SPDX-License-Identifier: BSD-2-Clause
#include <fmt/format.h>

#include <algorithm>
#include <set>

#include "ukai/disk_change.h"
#include "ukai/members.h"

namespace ukai {
namespace {

std::vector<Location> set_locations(const pb::ReplicaSet& set) {
  std::vector<Location> out;
  for (int i = 0; i < set.nodes_size(); ++i) {
    out.push_back({NodeId(set.nodes(i)), static_cast<SyncStatus>(set.status(i))});
  }
  return out;
}

std::optional<int> place_in(const pb::ReplicaSet& set, const NodeId& node) {
  const auto at = std::find(set.nodes().begin(), set.nodes().end(), node.str());
  if (at == set.nodes().end()) return std::nullopt;
  return static_cast<int>(at - set.nodes().begin());
}

/// All that share blocks with the new truth, missing ones included.
void give_up(pb::DiskRecord& record, const std::set<std::string>& sharers, const NodeId& node,
             Epoch epoch) {
  std::uint64_t sequence = 0;
  for (const std::string& sharer : sharers) {
    // Those that were missing before keep their place in the order of who went when.
    record = with_missing(std::move(record), NodeId(sharer), epoch, Sequence{++sequence},
                          fmt::format("node {} was declared the truth", node.str()));
  }
  for (pb::Member& member : *record.mutable_members()) {
    if (sharers.contains(member.node())) member.set_compare_all(true);
  }
  record = with_present(std::move(record), node);
}

}  // namespace

Recovery recover_from(pb::DiskRecord record, const std::vector<pb::MapSegment>& segments,
                      const NodeId& node, Epoch epoch) {
  const MemberTable members(record);
  Recovery out;
  std::set<std::string> sharers;
  std::set<NodeId> in_sync;
  for (const pb::MapSegment& segment : segments) {
    pb::MapSegment changed = segment;
    bool differs = false;
    const MapSegmentView view(segment);
    for (int i = 0; i < segment.sets_size(); ++i) {
      const pb::ReplicaSet& set = segment.sets(i);
      const auto place = place_in(set, node);
      if (!place) continue;
      for (const std::string& other : set.nodes()) {
        if (other != node.str()) sharers.insert(other);
      }
      if (set.status(*place) != static_cast<std::uint32_t>(SyncStatus::in_sync)) {
        changed.mutable_sets(i)->set_status(*place,
                                            static_cast<std::uint32_t>(SyncStatus::in_sync));
        differs = true;
      }
      const auto current = members.in_sync(set_locations(set));
      // Of an unproven disk nobody knows; only a block that lies nowhere else is as good as it
      // gets.
      const bool proven = !record.unproven() || set.nodes_size() == 1;
      const bool fine =
          proven && std::any_of(current.begin(), current.end(),
                                [&](std::size_t index) { return members.node(index) == node; });
      if (fine) continue;
      out.blocks += view.blocks_of_set(static_cast<std::size_t>(i));
      for (const std::size_t index : current) in_sync.insert(members.node(index));
    }
    if (differs) out.segments.push_back(std::move(changed));
  }
  out.in_sync.assign(in_sync.begin(), in_sync.end());
  out.record = std::move(record);
  give_up(out.record, sharers, node, epoch);
  return out;
}

}  // namespace ukai
