// SPDX-License-Identifier: BSD-2-Clause
#include "ukai/block_map.h"

#include <fmt/format.h>

#include <algorithm>
#include <cassert>
#include <set>

namespace ukai {
namespace {

std::uint64_t blocks_in_segment(const Geometry& geometry, std::uint32_t segment) {
  const std::uint64_t begin = segment * limits::segment_blocks;
  return std::min(limits::segment_blocks, geometry.block_count() - begin);
}

pb::ReplicaSet make_set(const Placement& placement, std::size_t first) {
  pb::ReplicaSet set;
  for (std::uint32_t i = 0; i < placement.replicas; ++i) {
    set.add_nodes(placement.nodes[(first + i) % placement.nodes.size()].str());
    set.add_status(static_cast<std::uint32_t>(SyncStatus::in_sync));
  }
  return set;
}

void add_run(pb::MapSegment& segment, std::uint64_t blocks, std::uint32_t first_set,
             std::uint32_t cycle) {
  pb::MapRun* run = segment.add_runs();
  run->set_blocks(static_cast<std::uint32_t>(blocks));
  run->set_first_set(first_set);
  run->set_cycle(cycle);
}

Error bad_segment(const pb::MapSegment& segment, std::string_view why) {
  return {Code::corrupt, fmt::format("map segment {}: {}", segment.segment(), why)};
}

}  // namespace

Result<Placement> check_placement(Placement placement) {
  if (placement.nodes.empty()) return Error{Code::invalid, "no location is given"};
  if (placement.nodes.size() > limits::disk_nodes_max) {
    return Error{Code::invalid, fmt::format("{} nodes are given, a disk can lie on {}",
                                            placement.nodes.size(), limits::disk_nodes_max)};
  }
  std::set<NodeId> seen;
  for (const NodeId& node : placement.nodes) {
    if (!seen.insert(node).second) {
      return Error{Code::invalid, fmt::format("node {} is named twice", node.str())};
    }
  }
  const auto count = static_cast<std::uint32_t>(placement.nodes.size());
  if (placement.replicas == 0) placement.replicas = placement.stripe ? 1 : count;
  if (placement.replicas > count) {
    return Error{Code::invalid, fmt::format("{} replicas need as many nodes, {} are given",
                                            placement.replicas, count)};
  }
  if (placement.replicas > limits::replicas_max) {
    return Error{Code::invalid, fmt::format("{} replicas are over the limit of {}",
                                            placement.replicas, limits::replicas_max)};
  }
  if (!placement.stripe) placement.nodes.resize(placement.replicas);
  return placement;
}

std::vector<pb::MapSegment> make_map(const Geometry& geometry, const Placement& placement) {
  std::vector<pb::MapSegment> map;
  const auto cycle = static_cast<std::uint32_t>(placement.stripe ? placement.nodes.size() : 1);
  for (std::uint32_t index = 0; index < geometry.segment_count(); ++index) {
    pb::MapSegment segment;
    segment.set_segment(index);
    // Sets are rotated so that the segment's first block has the set that follows the last one's.
    const std::size_t first = index * limits::segment_blocks % cycle;
    for (std::size_t i = 0; i < cycle; ++i) {
      *segment.add_sets() = make_set(placement, (first + i) % cycle);
    }
    add_run(segment, blocks_in_segment(geometry, index), 0, cycle);
    map.push_back(std::move(segment));
  }
  return map;
}

std::vector<pb::MapSegment> grow_map(const pb::MapSegment& last, const Geometry& from,
                                     const Geometry& to) {
  assert(from.block_size_bytes == to.block_size_bytes && from.block_count() <= to.block_count());
  assert(last.segment() + 1 == from.segment_count() && last.runs_size() > 0);
  const pb::MapRun& run = last.runs(last.runs_size() - 1);
  pb::MapSegment grown = last;
  const std::uint64_t had = blocks_in_segment(from, last.segment());
  const std::uint64_t has = blocks_in_segment(to, last.segment());
  grown.mutable_runs(last.runs_size() - 1)
      ->set_blocks(run.blocks() + static_cast<std::uint32_t>(has - had));
  std::vector<pb::MapSegment> map{grown};
  // The run goes on in the segments that follow, from where its cycle stood.
  std::uint64_t phase = run.blocks() + (has - had);
  for (std::uint32_t index = last.segment() + 1; index < to.segment_count(); ++index) {
    pb::MapSegment segment;
    segment.set_segment(index);
    for (std::uint32_t i = 0; i < run.cycle(); ++i) {
      const auto set = run.first_set() + static_cast<std::uint32_t>((phase + i) % run.cycle());
      *segment.add_sets() = last.sets(static_cast<int>(set));
    }
    const std::uint64_t blocks = blocks_in_segment(to, index);
    add_run(segment, blocks, 0, run.cycle());
    phase += blocks;
    map.push_back(std::move(segment));
  }
  return map;
}

Result<> check_segment(const pb::MapSegment& segment, const Geometry& geometry) {
  if (segment.segment() >= geometry.segment_count()) return bad_segment(segment, "beyond the disk");
  if (static_cast<std::uint64_t>(segment.sets_size()) > limits::segment_blocks) {
    return bad_segment(segment, "has more replica sets than blocks");
  }
  for (const pb::ReplicaSet& set : segment.sets()) {
    if (set.nodes_size() == 0) return bad_segment(segment, "a replica set is empty");
    if (set.nodes_size() != set.status_size()) {
      return bad_segment(segment, "a replica set has nodes without status");
    }
    const std::set<std::string> unique(set.nodes().begin(), set.nodes().end());
    if (unique.size() != static_cast<std::size_t>(set.nodes_size())) {
      return bad_segment(segment, "a replica set names a node twice");
    }
    for (const std::string& node : set.nodes()) {
      if (!parse_id(node, "node")) return bad_segment(segment, "a replica set names no valid node");
    }
    for (std::uint32_t status : set.status()) {
      if (status > 2) return bad_segment(segment, "a sync status is unknown");
    }
  }
  std::uint64_t blocks = 0;
  for (const pb::MapRun& run : segment.runs()) {
    const std::uint64_t end = std::uint64_t{run.first_set()} + run.cycle();
    if (run.blocks() == 0 || run.cycle() == 0) return bad_segment(segment, "a run is empty");
    if (end > static_cast<std::uint64_t>(segment.sets_size())) {
      return bad_segment(segment, "a run names a replica set that is not there");
    }
    blocks += run.blocks();
  }
  if (blocks != blocks_in_segment(geometry, segment.segment())) {
    return bad_segment(segment, fmt::format("describes {} blocks instead of {}", blocks,
                                            blocks_in_segment(geometry, segment.segment())));
  }
  return {};
}

MapSegmentView::MapSegmentView(const pb::MapSegment& segment)
    : first_block_(segment.segment() * limits::segment_blocks) {
  for (const pb::ReplicaSet& set : segment.sets()) {
    std::vector<Location> locations;
    for (int i = 0; i < set.nodes_size(); ++i) {
      locations.push_back({NodeId(set.nodes(i)), static_cast<SyncStatus>(set.status(i))});
    }
    sets_.push_back(std::move(locations));
  }
  std::uint64_t begin = first_block_;
  for (const pb::MapRun& run : segment.runs()) {
    runs_.push_back({begin, run.blocks(), run.first_set(), run.cycle()});
    begin += run.blocks();
  }
  end_block_ = begin;
}

std::size_t MapSegmentView::set_of(BlockIndex block) const {
  auto after = std::upper_bound(runs_.begin(), runs_.end(), raw(block),
                                [](std::uint64_t b, const Run& run) { return b < run.begin; });
  assert(after != runs_.begin());
  const Run& run = *std::prev(after);
  assert(raw(block) < run.begin + run.blocks);
  return run.first_set + (raw(block) - run.begin) % run.cycle;
}

const std::vector<Location>& MapSegmentView::locations(BlockIndex block) const {
  return sets_[set_of(block)];
}

std::uint64_t MapSegmentView::blocks_of_set(std::size_t index) const {
  std::uint64_t blocks = 0;
  for (const Run& run : runs_) {
    if (index < run.first_set || index >= run.first_set + run.cycle) continue;
    const std::uint64_t place = index - run.first_set;
    blocks += run.blocks / run.cycle + (place < run.blocks % run.cycle ? 1 : 0);
  }
  return blocks;
}

std::vector<MapSegmentView::Span> MapSegmentView::spans() const {
  std::vector<Span> out;
  for (const Run& run : runs_) {
    const std::uint64_t step = run.cycle == 1 ? run.blocks : 1;
    for (std::uint64_t at = 0; at < run.blocks; at += step) {
      const BlockRange blocks{BlockIndex{run.begin + at}, BlockIndex{run.begin + at + step}};
      out.push_back({blocks, run.first_set + at % run.cycle});
    }
  }
  return out;
}

}  // namespace ukai
