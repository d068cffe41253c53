// SPDX-License-Identifier: BSD-2-Clause
#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <vector>

#include "ukai/block_map.h"
#include "ukai/types.h"
#include "ukai_node.pb.h"
#include "ukai_records.pb.h"

namespace ukai::ctl {

/// What a missing member of a disk lacks, as the logs of the other members have it.
struct MissedBlocks {
  /// False when a member that keeps such a log could not be asked: then nothing is known of the
  /// blocks that are not listed.
  bool complete = true;
  std::vector<BlockRange> blocks;  ///< sorted and disjoint, see normalise()

  bool contains(BlockIndex block) const;
};
using Missed = std::map<std::string, MissedBlocks>;  ///< by node

/// Sorts and joins what several logs said.
std::vector<BlockRange> normalise(std::vector<BlockRange> blocks);

/// One replica of a block and the letter of its sync status: 'Y' in-sync, 'S' syncing,
/// 'N' out-of-sync, '?' not known at the moment.
struct Replica {
  std::string node;
  char status = 'Y';
  bool operator==(const Replica&) const = default;
};
using Replicas = std::vector<Replica>;

/// Blocks in a row; block i of them has cycle[i % cycle.size()]. A striped disk is one such row.
struct MapRow {
  BlockRange blocks;
  std::vector<Replicas> cycle;
  bool operator==(const MapRow& other) const {
    return blocks.begin == other.blocks.begin && blocks.end == other.blocks.end &&
           cycle == other.cycle;
  }
};

/// The part of the map that lies in `wanted`, in as few rows as the layout allows. `segments` are
/// in order, have passed check_segment() and cover `wanted`.
std::vector<MapRow> map_rows(const std::vector<pb::MapSegment>& segments, const Missed& missed,
                             BlockRange wanted);

/// "5" or "5-9" (inclusive) as a half-open range of a disk with `block_count` blocks.
Result<BlockRange> parse_blocks(std::string_view text, std::uint64_t block_count);

}  // namespace ukai::ctl
