// SPDX-License-Identifier: BSD-2-Clause
#include "ukai/location_change.h"

#include <fmt/format.h>

#include <algorithm>
#include <cassert>
#include <map>
#include <set>

#include "model/segment_edit.h"
#include "ukai/disk_change.h"
#include "ukai/geometry.h"
#include "ukai/members.h"

namespace ukai {
namespace {

using Set = SegmentEdit::Set;

bool has(const Set& set, const NodeId& node) {
  return std::any_of(set.begin(), set.end(),
                     [&](const Location& location) { return location.node == node; });
}

std::uint64_t pending_in(const pb::MapSegment& segment) {
  const MapSegmentView view(segment);
  std::uint64_t pending = 0;
  for (std::size_t i = 0; i < view.sets().size(); ++i) {
    const Set& set = view.sets()[i];
    const auto behind = static_cast<std::uint64_t>(std::count_if(
        set.begin(), set.end(),
        [](const Location& location) { return location.status != SyncStatus::in_sync; }));
    if (behind > 0) pending += behind * view.blocks_of_set(i);
  }
  return pending;
}

bool is_named(const std::vector<NodeId>& nodes, const NodeId& node) {
  return std::find(nodes.begin(), nodes.end(), node) != nodes.end();
}

BlockRange overlap(BlockRange a, BlockRange b) {
  const BlockRange out{std::max(a.begin, b.begin), std::min(a.end, b.end)};
  return out.begin < out.end ? out : BlockRange{a.begin, a.begin};
}

pb::Member* find_member(pb::DiskRecord& record, const NodeId& node) {
  for (pb::Member& member : *record.mutable_members()) {
    if (member.node() == node.str()) return &member;
  }
  return nullptr;
}

/// Blocks of a map do not have many different sets: each is worked out once.
template <class Change>
Result<> change_sets(SegmentEdit& edit, BlockRange blocks, std::uint64_t& replicas,
                     const Change& change) {
  struct Outcome {
    Set set;
    std::uint64_t replicas = 0;
  };
  std::map<Set, Outcome> done;
  const BlockRange range = overlap(edit.blocks(), blocks);
  for (BlockIndex block = range.begin; block < range.end; block = next(block)) {
    const Set& before = edit.at(block);
    auto known = done.find(before);
    if (known == done.end()) {
      Outcome outcome{before, 0};
      auto changed = change(block, outcome.set, outcome.replicas);
      if (!changed.ok()) return changed;
      known = done.emplace(before, std::move(outcome)).first;
    }
    if (known->second.replicas == 0) continue;
    replicas += known->second.replicas;
    edit.replace(block, known->second.set);
  }
  return {};
}

/// Changes the sets of `blocks` in all segments.
template <class Change>
Result<LocationsChanged> change_map(pb::DiskRecord record,
                                    const std::vector<pb::MapSegment>& segments, BlockRange blocks,
                                    const NodeId& where, const Change& change) {
  const auto there = [&](BlockIndex block, Set& set, std::uint64_t& replicas) -> Result<> {
    if (!where.empty() && !has(set, where)) return {};
    return change(block, set, replicas);
  };
  LocationsChanged out;
  out.record = std::move(record);
  for (const pb::MapSegment& segment : segments) {
    SegmentEdit edit(segment);
    const std::uint64_t before = out.replicas;
    auto done = change_sets(edit, blocks, out.replicas, there);
    if (!done.ok()) return done.error();
    if (out.replicas != before) out.segments.push_back(edit.encode());
  }
  out.record = with_pending(std::move(out.record), segments, out.segments);
  return out;
}

/// Members that no block names are gone; those that one names are not.
void mark_gone(LocationsChanged& out, const std::vector<pb::MapSegment>& segments) {
  std::set<std::string> named;
  const auto note = [&](const pb::MapSegment& segment) {
    for (const pb::ReplicaSet& set : segment.sets())
      named.insert(set.nodes().begin(), set.nodes().end());
  };
  for (const pb::MapSegment& segment : segments) {
    const bool changed = std::any_of(
        out.segments.begin(), out.segments.end(),
        [&](const pb::MapSegment& other) { return other.segment() == segment.segment(); });
    if (!changed) note(segment);
  }
  for (const pb::MapSegment& segment : out.segments) note(segment);
  for (pb::Member& member : *out.record.mutable_members()) {
    if (named.contains(member.node())) continue;
    const std::string node = member.node();
    member.Clear();
    member.set_node(node);
    member.set_gone(true);
  }
}

/// Which of the segments' blocks have lost their location on `node`.
void note_taken_off(LocationsChanged& out, const std::vector<pb::MapSegment>& segments,
                    const NodeId& node) {
  std::vector<BlockRange> gone;
  for (const pb::MapSegment& changed : out.segments) {
    const auto before = std::find_if(
        segments.begin(), segments.end(),
        [&](const pb::MapSegment& segment) { return segment.segment() == changed.segment(); });
    const MapSegmentView old_view(*before);
    const MapSegmentView new_view(changed);
    for (BlockIndex block = old_view.blocks().begin; block < old_view.blocks().end;
         block = next(block)) {
      if (!has(old_view.locations(block), node) || has(new_view.locations(block), node)) continue;
      if (!gone.empty() && gone.back().end == block) {
        gone.back().end = next(block);
      } else {
        gone.push_back({block, next(block)});
      }
    }
  }
  if (!gone.empty()) out.taken_off[node] = std::move(gone);
}

Error last_replica(const pb::DiskRecord& record, BlockIndex block, const std::string& nodes) {
  return {Code::refused,
          fmt::format("disk {}: block {} has no other replica in sync than that on {}",
                      record.name(), raw(block), nodes)};
}

}  // namespace

Result<LocationsChanged> add_locations(pb::DiskRecord record,
                                       const std::vector<pb::MapSegment>& segments,
                                       const LocationsWanted& wanted) {
  for (const NodeId& node : wanted.nodes) {
    if (pb::Member* member = find_member(record, node)) {
      member->set_gone(false);
      continue;
    }
    if (static_cast<std::size_t>(record.members_size()) >= limits::disk_nodes_max) {
      return Error{Code::invalid, fmt::format("disk {} lies on {} nodes already, the most there "
                                              "can be",
                                              record.name(), record.members_size())};
    }
    record.add_members()->set_node(node.str());
  }
  const std::string name = record.name();
  return change_map(std::move(record), segments, wanted.blocks, wanted.where,
                    [&](BlockIndex block, Set& set, std::uint64_t& replicas) -> Result<> {
                      for (const NodeId& node : wanted.nodes) {
                        if (has(set, node)) continue;
                        set.push_back({node, SyncStatus::out_of_sync});
                        ++replicas;
                      }
                      if (set.size() <= limits::replicas_max) return {};
                      return Error{Code::invalid,
                                   fmt::format("disk {}: block {} would have {} replicas, the most "
                                               "is {}",
                                               name, raw(block), set.size(), limits::replicas_max)};
                    });
}

Result<LocationsChanged> remove_locations(pb::DiskRecord record,
                                          const std::vector<pb::MapSegment>& segments,
                                          const LocationsWanted& wanted) {
  const MemberTable members(record);
  const pb::DiskRecord& disk = record;
  const auto off = [&](BlockIndex block, Set& set, std::uint64_t& replicas) -> Result<> {
    const auto in_sync = members.in_sync(set);
    const auto counts = [&](const Location& location) {
      const auto index = members.index_of(location.node);
      return index && std::find(in_sync.begin(), in_sync.end(), *index) != in_sync.end();
    };
    Set left;
    std::string taken;
    bool took_current = false;
    for (const Location& location : set) {
      const bool stays = wanted.only_out_of_sync && location.status == SyncStatus::in_sync;
      if (stays || !is_named(wanted.nodes, location.node)) {
        left.push_back(location);
        continue;
      }
      taken += (taken.empty() ? "" : ", ") + location.node.str();
      took_current = took_current || counts(location);
      ++replicas;
    }
    if (replicas == 0) return {};
    if (std::none_of(left.begin(), left.end(), counts)) return last_replica(disk, block, taken);
    for (Location& location : left) {
      const bool stale = location.status == SyncStatus::in_sync && !counts(location);
      if (took_current && stale) location.status = SyncStatus::syncing;
    }
    set = std::move(left);
    return {};
  };
  auto out = change_map(disk, segments, wanted.blocks, wanted.where, off);
  if (!out.ok()) return out;
  mark_gone(*out, segments);
  for (const NodeId& node : wanted.nodes) note_taken_off(*out, segments, node);
  return out;
}

Result<LocationsChanged> cut_off(pb::DiskRecord record, const std::vector<pb::MapSegment>& segments,
                                 std::uint64_t size_bytes) {
  auto smaller = shrunk(record, size_bytes);
  if (!smaller) return smaller.error();
  const Geometry from{record.size(), record.block_size()};
  const Geometry to{size_bytes, record.block_size()};
  const std::size_t kept = to.segment_count();
  assert(segments.size() == from.segment_count());

  LocationsChanged out;
  out.record = std::move(*smaller);
  // 1. The map: the last segment that stays is cut within its runs.
  pb::MapSegment last = segments[kept - 1];
  const auto& all_runs = segments[kept - 1].runs();
  std::uint64_t left = to.block_count() - last.segment() * limits::segment_blocks;
  last.clear_runs();
  for (int i = 0; i < all_runs.size() && left > 0; ++i) {
    pb::MapRun* run = last.add_runs();
    *run = all_runs[i];
    run->set_blocks(static_cast<std::uint32_t>(std::min<std::uint64_t>(run->blocks(), left)));
    left -= run->blocks();
  }
  out.segments.push_back(SegmentEdit(last).encode());
  // 2. What is known of the rest.
  out.record = with_pending(std::move(out.record), segments, out.segments);
  std::uint64_t pending = out.record.pending_replicas();
  for (std::size_t i = kept; i < segments.size(); ++i) {
    pending -= std::min(pending, pending_in(segments[i]));
  }
  out.record.set_pending_replicas(pending);
  // 3. Nobody keeps anything of what is cut off, wherever it came from.
  const BlockRange rest{BlockIndex{to.block_count()}, BlockIndex{from.block_count()}};
  for (const pb::Member& member : record.members()) {
    if (!member.gone()) out.taken_off[NodeId(member.node())] = {rest};
  }
  out.replicas = out.taken_off.size() * rest.count();
  mark_gone(out, {segments.begin(), segments.begin() + static_cast<std::ptrdiff_t>(kept)});
  return out;
}

LocationsChanged set_status(pb::DiskRecord record, const std::vector<pb::MapSegment>& segments,
                            const std::vector<BlockReplica>& replicas, SyncStatus status) {
  LocationsChanged out;
  out.record = std::move(record);
  for (const pb::MapSegment& segment : segments) {
    SegmentEdit edit(segment);
    const std::uint64_t before = out.replicas;
    auto at = std::lower_bound(
        replicas.begin(), replicas.end(), edit.blocks().begin,
        [](const BlockReplica& replica, BlockIndex block) { return replica.block < block; });
    for (; at != replicas.end() && at->block < edit.blocks().end; ++at) {
      Set set = edit.at(at->block);
      for (Location& location : set) {
        if (location.node != at->node || location.status == status) continue;
        location.status = status;
        ++out.replicas;
      }
      edit.replace(at->block, set);
    }
    if (out.replicas != before) out.segments.push_back(edit.encode());
  }
  out.record = with_pending(std::move(out.record), segments, out.segments);
  return out;
}

pb::DiskRecord with_pending(pb::DiskRecord record, const std::vector<pb::MapSegment>& before,
                            const std::vector<pb::MapSegment>& after) {
  std::uint64_t pending = record.pending_replicas();
  for (const pb::MapSegment& segment : after) {
    pending += pending_in(segment);
    for (const pb::MapSegment& old : before) {
      if (old.segment() == segment.segment()) pending -= std::min(pending, pending_in(old));
    }
  }
  record.set_pending_replicas(pending);
  return record;
}

pb::DiskRecord without_gone(pb::DiskRecord record) {
  auto& all = *record.mutable_members();
  all.erase(std::remove_if(all.begin(), all.end(),
                           [](const pb::Member& member) { return member.gone(); }),
            all.end());
  return record;
}

}  // namespace ukai
