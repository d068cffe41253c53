// SPDX-License-Identifier: BSD-2-Clause
#include "ctl/rebuild_plan.h"

#include <fmt/format.h>

#include <algorithm>
#include <utility>

#include "ctl/dump.h"
#include "ukai/geometry.h"

namespace ukai::ctl {
namespace {

constexpr std::size_t short_id = 8;  // digits, enough to tell disks of one name apart

/// Bit i: the record's member i. 0: nobody has a trace of the block.
using Mask = std::uint64_t;

const NodeHolding& newest(const std::vector<NodeHolding>& holdings) {
  return *std::max_element(holdings.begin(), holdings.end(), [](const auto& a, const auto& b) {
    return std::make_pair(a.disk.epoch(), a.disk.size()) <
           std::make_pair(b.disk.epoch(), b.disk.size());
  });
}

std::string name_of(const std::string& disk_id, const std::vector<NodeHolding>& holdings,
                    const std::set<std::string>& taken) {
  const NodeHolding* best = nullptr;
  for (const NodeHolding& holding : holdings) {
    if (!parse_disk_name(holding.disk.name())) continue;
    if (best == nullptr || holding.disk.epoch() > best->disk.epoch()) best = &holding;
  }
  const std::string digits = disk_id.substr(0, short_id);
  if (best == nullptr) return "rebuilt-" + digits;
  const std::string& name = best->disk.name();
  if (!taken.contains(name)) return name;
  const std::string other = fmt::format("{}-{}", name, digits);
  return parse_disk_name(other) ? other : "rebuilt-" + digits;
}

/// The members of the newest session that were asked, and those that were not.
void add_members(const std::vector<NodeHolding>& holdings, Proposal& out) {
  const auto held_by = [&](const std::string& node) {
    return std::any_of(holdings.begin(), holdings.end(),
                       [&](const NodeHolding& holding) { return holding.node == node; });
  };
  const auto& members = newest(holdings).disk.members();
  for (const std::string& node : members) {
    if (held_by(node)) {
      out.record.add_members()->set_node(node);
    } else {
      out.silent.push_back(node);
    }
  }
  if (!members.empty()) return;
  for (const NodeHolding& holding : holdings) out.record.add_members()->set_node(holding.node);
}

Mask bit_of(const pb::DiskRecord& record, const std::string& node) {
  for (int i = 0; i < record.members_size(); ++i) {
    if (record.members(i).node() == node) return Mask{1} << i;
  }
  return 0;
}

Result<Geometry> geometry_of(const std::string& disk_id, const std::vector<NodeHolding>& holdings) {
  std::uint64_t size = 0;
  std::uint64_t blocks = 0;
  const std::uint32_t block_size = holdings.front().disk.block_size();
  for (const NodeHolding& holding : holdings) {
    if (holding.disk.block_size() != block_size) {
      return Error{Code::corrupt, fmt::format("disk {}: nodes {} and {} have blocks of different "
                                              "sizes",
                                              disk_id, holdings.front().node, holding.node)};
    }
    size = std::max(size, holding.disk.size());
    for (const BlockRange& range : holding.blocks) blocks = std::max(blocks, raw(range.end));
  }
  if (size == 0) size = blocks * block_size;  // held by an older version, which kept no size
  auto geometry = make_geometry(size, block_size);
  if (!geometry) {
    return Error{Code::corrupt, fmt::format("disk {}: {}", disk_id, geometry.error().what)};
  }
  if (geometry->block_count() < blocks) {
    return Error{Code::corrupt, fmt::format("disk {}: there are blocks beyond its end", disk_id)};
  }
  return geometry;
}

void mark(std::vector<Mask>& masks, const std::vector<BlockRange>& ranges, Mask bits) {
  for (const BlockRange& range : ranges) {
    const std::uint64_t end = std::min<std::uint64_t>(raw(range.end), masks.size());
    for (std::uint64_t block = raw(range.begin); block < end; ++block) masks[block] |= bits;
  }
}

std::vector<Mask> traces(const pb::DiskRecord& record, const std::vector<NodeHolding>& holdings,
                         std::uint64_t block_count) {
  std::vector<Mask> masks(block_count);
  for (const NodeHolding& holding : holdings) {
    const Mask own = bit_of(record, holding.node);
    if (own == 0) continue;
    mark(masks, holding.blocks, own);
    for (const auto& [member, blocks] : holding.missed) {
      mark(masks, blocks, own | bit_of(record, member));
    }
  }
  return masks;
}

/// What the most blocks i with i % cycle == phase look like, for each phase, and how many blocks
/// do.
struct Pattern {
  std::vector<Mask> sets;
  std::uint64_t blocks = 0;
};

Pattern pattern_of(const std::vector<Mask>& masks, std::size_t cycle, Mask otherwise) {
  std::vector<std::map<Mask, std::uint64_t>> votes(cycle);
  for (std::size_t i = 0; i < masks.size(); ++i) {
    if (masks[i] != 0) ++votes[i % cycle][masks[i]];
  }
  Pattern pattern;
  for (const auto& phase : votes) {
    const auto most =
        std::max_element(phase.begin(), phase.end(),
                         [](const auto& a, const auto& b) { return a.second < b.second; });
    pattern.sets.push_back(most == phase.end() ? otherwise : most->first);
    pattern.blocks += most == phase.end() ? 0 : most->second;
  }
  return pattern;
}

/// Blocks of zeros lie like the others: in the shortest cycle that explains the most of those.
void guess_rest(std::vector<Mask>& masks, std::size_t members) {
  const Mask all = members >= 64 ? ~Mask{0} : (Mask{1} << members) - 1;
  Pattern best = pattern_of(masks, 1, all);
  const Mask usual = best.sets[0];
  for (std::size_t cycle = 2; cycle <= members; ++cycle) {
    Pattern longer = pattern_of(masks, cycle, usual);
    if (longer.blocks > best.blocks) best = std::move(longer);
  }
  for (std::size_t i = 0; i < masks.size(); ++i) {
    if (masks[i] == 0) masks[i] = best.sets[i % best.sets.size()];
  }
}

pb::ReplicaSet set_of(const pb::DiskRecord& record, Mask mask) {
  pb::ReplicaSet set;
  for (int i = 0; i < record.members_size(); ++i) {
    if ((mask >> i & 1) == 0) continue;
    set.add_nodes(record.members(i).node());
    set.add_status(static_cast<std::uint32_t>(SyncStatus::in_sync));
  }
  return set;
}

void add_run(pb::MapSegment& segment, std::size_t blocks, std::uint32_t set, std::size_t cycle) {
  pb::MapRun* run = segment.add_runs();
  run->set_blocks(static_cast<std::uint32_t>(blocks));
  run->set_first_set(set);
  run->set_cycle(static_cast<std::uint32_t>(cycle));
}

/// As one cycle where the whole segment is one, else run by run.
pb::MapSegment segment_for(const pb::DiskRecord& record, std::uint32_t index,
                           const std::vector<Mask>& masks) {
  pb::MapSegment segment;
  segment.set_segment(index);
  const auto members = static_cast<std::size_t>(record.members_size());
  for (std::size_t cycle = 1; cycle <= std::min(members, masks.size()); ++cycle) {
    if (!std::equal(masks.begin() + static_cast<std::ptrdiff_t>(cycle), masks.end(),
                    masks.begin())) {
      continue;
    }
    for (std::size_t i = 0; i < cycle; ++i) *segment.add_sets() = set_of(record, masks[i]);
    add_run(segment, masks.size(), 0, cycle);
    return segment;
  }
  std::map<Mask, std::uint32_t> sets;
  for (std::size_t at = 0; at < masks.size();) {
    std::size_t end = at;
    while (end < masks.size() && masks[end] == masks[at]) ++end;
    const auto [set, added] = sets.try_emplace(masks[at], static_cast<std::uint32_t>(sets.size()));
    if (added) *segment.add_sets() = set_of(record, masks[at]);
    add_run(segment, end - at, set->second, 1);
    at = end;
  }
  return segment;
}

}  // namespace

Result<Proposal> propose(const std::string& disk_id, const std::vector<NodeHolding>& holdings,
                         const std::set<std::string>& taken) {
  // 1. The disk.
  auto geometry = geometry_of(disk_id, holdings);
  if (!geometry) return geometry.error();
  Proposal out;
  out.record.set_id(disk_id);
  out.record.set_name(name_of(disk_id, holdings, taken));
  out.record.set_size(geometry->size_bytes);
  out.record.set_block_size(geometry->block_size_bytes);
  out.record.set_epoch(newest(holdings).disk.epoch() + epoch_step);
  std::uint64_t generation = 1;
  for (const NodeHolding& holding : holdings) {
    generation = std::max(generation, holding.disk.generation());
  }
  // One more than what is there: of a clone that nobody has opened, all is shared with its source.
  out.record.set_generation(generation + 1);
  out.record.set_unproven(true);
  out.record.set_guest_epoch(out.record.epoch());  // handles from before are dead
  add_members(holdings, out);
  if (out.record.members_size() == 0) {
    return Error{Code::corrupt, fmt::format("disk {}: none of the nodes that hold it is one of its "
                                            "members",
                                            disk_id)};
  }

  // 2. Its map.
  std::vector<Mask> masks = traces(out.record, holdings, geometry->block_count());
  const auto unknown = std::count(masks.begin(), masks.end(), Mask{0});
  out.blocks_found = masks.size() - static_cast<std::uint64_t>(unknown);
  guess_rest(masks, static_cast<std::size_t>(out.record.members_size()));
  for (std::uint32_t index = 0; index < geometry->segment_count(); ++index) {
    const auto begin = masks.begin() + static_cast<std::ptrdiff_t>(index * limits::segment_blocks);
    const auto left = static_cast<std::uint64_t>(masks.end() - begin);
    const auto blocks = static_cast<std::ptrdiff_t>(std::min(limits::segment_blocks, left));
    const std::vector<Mask> part(begin, begin + blocks);
    out.segments.push_back(segment_for(out.record, index, part));
  }
  return out;
}

}  // namespace ukai::ctl
