// SPDX-License-Identifier: BSD-2-Clause
#include "ctl/map_rows.h"

#include <fmt/format.h>

#include <algorithm>
#include <charconv>
#include <optional>
#include <set>

#include "base/text.h"

namespace ukai::ctl {
namespace {

char letter_of(SyncStatus status) {
  switch (status) {
    case SyncStatus::in_sync:
      return 'Y';
    case SyncStatus::syncing:
      return 'S';
    case SyncStatus::out_of_sync:
      break;
  }
  return 'N';
}

Replicas replicas_of(const pb::ReplicaSet& set, BlockIndex block, const Missed& missed) {
  Replicas replicas;
  for (int i = 0; i < set.nodes_size(); ++i) {
    Replica replica{set.nodes(i), letter_of(static_cast<SyncStatus>(set.status(i)))};
    const auto lack = missed.find(replica.node);
    // Nobody keeps a log of what the only location of a block lacks: it lacks nothing.
    if (replica.status == 'Y' && set.nodes_size() > 1 && lack != missed.end()) {
      if (lack->second.contains(block)) {
        replica.status = 'N';
      } else if (!lack->second.complete) {
        replica.status = '?';
      }
    }
    replicas.push_back(std::move(replica));
  }
  return replicas;
}

/// Appends rows, joining those that go on with the same layout.
class RowBuilder {
 public:
  void add(BlockRange blocks, std::vector<Replicas> cycle) {
    const bool uniform = std::all_of(cycle.begin(), cycle.end(),
                                     [&](const Replicas& set) { return set == cycle.front(); });
    if (uniform) cycle.resize(1);
    if (!rows_.empty() && continues(rows_.back(), blocks, cycle)) {
      rows_.back().blocks.end = blocks.end;
      return;
    }
    rows_.push_back({blocks, std::move(cycle)});
  }
  std::vector<MapRow> take() { return std::move(rows_); }

 private:
  static bool continues(const MapRow& row, BlockRange blocks, const std::vector<Replicas>& cycle) {
    if (row.blocks.end != blocks.begin || row.cycle.size() != cycle.size()) return false;
    const std::uint64_t phase = row.blocks.count() % cycle.size();
    for (std::size_t i = 0; i < cycle.size(); ++i) {
      if (row.cycle[(phase + i) % cycle.size()] != cycle[i]) return false;
    }
    return true;
  }
  std::vector<MapRow> rows_;
};

/// Blocks at which what some member lacks begins or ends.
std::vector<std::uint64_t> borders_of(const Missed& missed) {
  std::vector<std::uint64_t> borders;
  for (const auto& [node, lack] : missed) {
    for (const BlockRange& range : lack.blocks) {
      borders.push_back(raw(range.begin));
      borders.push_back(raw(range.end));
    }
  }
  std::sort(borders.begin(), borders.end());
  borders.erase(std::unique(borders.begin(), borders.end()), borders.end());
  return borders;
}

/// Adds the part [begin, end) of one run, within which every member lacks all blocks or none.
void add_piece(RowBuilder& rows, const pb::MapSegment& segment, const Missed& missed,
               const std::vector<std::size_t>& sets, BlockRange piece) {
  std::vector<Replicas> cycle;
  for (const std::size_t set : sets) {
    cycle.push_back(replicas_of(segment.sets(static_cast<int>(set)), piece.begin, missed));
  }
  if (cycle.size() == 1 || piece.count() > cycle.size()) {
    rows.add(piece, std::move(cycle));
    return;
  }
  for (std::uint64_t i = 0; i < piece.count(); ++i) {
    const BlockIndex block{raw(piece.begin) + i};
    rows.add({block, next(block)}, {cycle[i]});
  }
}

}  // namespace

bool MissedBlocks::contains(BlockIndex block) const {
  auto after = std::upper_bound(blocks.begin(), blocks.end(), block,
                                [](BlockIndex b, const BlockRange& r) { return b < r.begin; });
  return after != blocks.begin() && std::prev(after)->contains(block);
}

std::vector<BlockRange> normalise(std::vector<BlockRange> blocks) {
  std::sort(blocks.begin(), blocks.end(),
            [](const BlockRange& a, const BlockRange& b) { return a.begin < b.begin; });
  std::vector<BlockRange> joined;
  for (const BlockRange& range : blocks) {
    if (range.begin >= range.end) continue;
    if (!joined.empty() && range.begin <= joined.back().end) {
      joined.back().end = std::max(joined.back().end, range.end);
    } else {
      joined.push_back(range);
    }
  }
  return joined;
}

std::vector<MapRow> map_rows(const std::vector<pb::MapSegment>& segments, const Missed& missed,
                             BlockRange wanted) {
  const std::vector<std::uint64_t> borders = borders_of(missed);
  RowBuilder rows;
  for (const pb::MapSegment& segment : segments) {
    std::uint64_t run_begin = segment.segment() * limits::segment_blocks;
    for (const pb::MapRun& run : segment.runs()) {
      const std::uint64_t run_end = run_begin + run.blocks();
      const std::uint64_t end = std::min(run_end, raw(wanted.end));
      for (std::uint64_t at = std::max(run_begin, raw(wanted.begin)); at < end;) {
        const auto border = std::upper_bound(borders.begin(), borders.end(), at);
        const std::uint64_t to = border == borders.end() ? end : std::min(end, *border);
        std::vector<std::size_t> sets;
        for (std::uint64_t i = 0; i < run.cycle(); ++i) {
          sets.push_back(run.first_set() + (at - run_begin + i) % run.cycle());
        }
        add_piece(rows, segment, missed, sets, {BlockIndex{at}, BlockIndex{to}});
        at = to;
      }
      run_begin = run_end;
    }
  }
  return rows.take();
}

Result<BlockRange> parse_blocks(std::string_view text, std::uint64_t block_count) {
  auto number = [](std::string_view digits) -> std::optional<std::uint64_t> {
    std::uint64_t value = 0;
    const auto [end, error] = std::from_chars(digits.data(), digits.data() + digits.size(), value);
    if (error != std::errc() || end != digits.data() + digits.size()) return std::nullopt;
    return value;
  };
  const std::size_t dash = text.find('-');
  const auto first = number(text.substr(0, dash));
  const auto last = dash == std::string_view::npos ? first : number(text.substr(dash + 1));
  if (!first || !last) {
    return Error{Code::invalid, fmt::format("'{}' is not a range of blocks (A-B, or one number)",
                                            printable(text))};
  }
  if (*last < *first) {
    return Error{Code::invalid, fmt::format("blocks {}: the last one is before the first", text)};
  }
  if (*last >= block_count) {
    return Error{Code::invalid,
                 fmt::format("blocks {}: the disk's last block is {}", text, block_count - 1)};
  }
  return BlockRange{BlockIndex{*first}, BlockIndex{*last + 1}};
}

}  // namespace ukai::ctl
