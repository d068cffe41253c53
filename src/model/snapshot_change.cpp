// SPDX-License-Identifier: BSD-2-Clause
#include "ukai/snapshot_change.h"

#include <fmt/format.h>

#include <algorithm>

#include "model/segment_edit.h"
#include "ukai/location_change.h"
#include "ukai/members.h"

namespace ukai {
namespace {

Error no_snapshot(const pb::DiskRecord& record, const std::string& name) {
  return {Code::not_found, fmt::format("disk {} has no snapshot {}", record.name(), name)};
}

/// The first `blocks` blocks of the segment.
pb::MapSegment cut(pb::MapSegment segment, std::uint64_t blocks) {
  std::uint64_t left = blocks;
  int runs = 0;
  for (; runs < segment.runs_size() && left > 0; ++runs) {
    pb::MapRun& run = *segment.mutable_runs(runs);
    run.set_blocks(static_cast<std::uint32_t>(std::min<std::uint64_t>(run.blocks(), left)));
    left -= run.blocks();
  }
  segment.mutable_runs()->DeleteSubrange(runs, segment.runs_size() - runs);
  return segment;
}

/// Where the clone's replicas of a block with these locations are, and in sync.
std::vector<Location> cloned(const std::vector<Location>& locations, const MemberTable& members,
                             const std::set<NodeId>& made_on) {
  std::vector<Location> out = locations;
  const auto in_sync = members.in_sync(locations);
  for (Location& location : out) {
    const auto index = members.index_of(location.node);
    const bool up_to_date =
        index && std::find(in_sync.begin(), in_sync.end(), *index) != in_sync.end();
    const bool made = up_to_date && made_on.contains(location.node);
    location.status = made ? SyncStatus::in_sync : SyncStatus::out_of_sync;
  }
  return out;
}

}  // namespace

pb::DiskRecord with_next_generation(pb::DiskRecord record, Generation head) {
  if (record.generation() == raw(head)) record.set_generation(raw(head) + 1);
  return record;
}

Result<pb::DiskRecord> with_snapshot(pb::DiskRecord record, const pb::Snapshot& snapshot) {
  auto name = parse_disk_name(snapshot.name());
  if (!name) {
    return Error{Code::invalid, fmt::format("'{}' is no name of a snapshot", snapshot.name())};
  }
  if (find_snapshot(record, snapshot.name()) != nullptr) {
    return Error{Code::exists,
                 fmt::format("disk {} has a snapshot {} already", record.name(), snapshot.name())};
  }
  if (static_cast<std::size_t>(record.snapshots_size()) >= limits::snapshots_max) {
    return Error{Code::invalid,
                 fmt::format("disk {} has {} snapshots, and no disk has more: delete some",
                             record.name(), record.snapshots_size())};
  }
  *record.add_snapshots() = snapshot;
  return record;
}

Result<pb::DiskRecord> without_snapshot(pb::DiskRecord record, const std::string& name) {
  if (find_snapshot(record, name) == nullptr) return no_snapshot(record, name);
  auto& snapshots = *record.mutable_snapshots();
  snapshots.erase(std::remove_if(snapshots.begin(), snapshots.end(),
                                 [&](const auto& one) { return one.name() == name; }),
                  snapshots.end());
  return record;
}

Result<pb::DiskRecord> rolled_back(pb::DiskRecord record, const std::string& name) {
  const pb::Snapshot* snapshot = find_snapshot(record, name);
  if (snapshot == nullptr) return no_snapshot(record, name);
  if (static_cast<std::size_t>(record.branches_size()) >= limits::rollbacks_max) {
    return Error{Code::no_space,
                 fmt::format("disk {} has been rolled back {} times: clone the snapshot instead",
                             record.name(), record.branches_size())};
  }
  const std::uint64_t parent = snapshot->generation();
  record.set_generation(record.generation() + 1);
  pb::Branch* branch = record.add_branches();
  branch->set_first(record.generation());
  branch->set_parent(parent);
  return record;
}

pb::TrashRecord order_to_delete_versions(const pb::DiskRecord& record, Generation head) {
  pb::TrashRecord order;
  order.set_disk_id(record.id());
  order.set_disk_name(record.name());
  *order.mutable_versions() = history_of(record, {head});
  return order;
}

Result<Clone> clone_of(pb::DiskRecord record, const pb::DiskRecord& source,
                       const std::vector<pb::MapSegment>& segments,
                       const std::set<NodeId>& made_on) {
  Clone out;
  const Geometry geometry{record.size(), source.block_size()};
  record.set_block_size(source.block_size());
  // What the nodes link is generation 1, and shared with the source: changes go to a later one.
  record.set_generation(2);
  const MemberTable members(source);
  std::set<std::string> used;
  for (const pb::MapSegment& segment : segments) {
    if (segment.segment() >= geometry.segment_count()) break;
    const std::uint64_t first = segment.segment() * limits::segment_blocks;
    SegmentEdit edit(
        cut(segment, std::min(limits::segment_blocks, geometry.block_count() - first)));
    for (BlockIndex block = edit.blocks().begin; block < edit.blocks().end; block = next(block)) {
      const auto locations = cloned(edit.at(block), members, made_on);
      const bool held = std::any_of(locations.begin(), locations.end(), [](const Location& at) {
        return at.status == SyncStatus::in_sync;
      });
      if (!held) {
        return Error{Code::unreachable,
                     fmt::format("disk {}: no node that has block {} in sync can be asked to clone",
                                 source.name(), raw(block))};
      }
      for (const Location& location : locations) used.insert(location.node.str());
      edit.replace(block, locations);
    }
    out.segments.push_back(edit.encode());
  }
  for (const pb::Member& member : source.members()) {
    if (used.contains(member.node())) record.add_members()->set_node(member.node());
  }
  out.record = with_pending(std::move(record), {}, out.segments);
  return out;
}

}  // namespace ukai
