// SPDX-License-Identifier: BSD-2-Clause
#pragma once

#include <map>
#include <vector>

#include "ukai/block_map.h"

namespace ukai {

/// A map segment taken apart, block by block, and put together again in few runs.
///
/// Threads: one owner.
class SegmentEdit {
 public:
  using Set = std::vector<Location>;

  /// `segment` has passed check_segment().
  explicit SegmentEdit(const pb::MapSegment& segment);

  BlockRange blocks() const { return blocks_; }
  const Set& at(BlockIndex block) const { return sets_[of_block_[place(block)]]; }
  void replace(BlockIndex block, const Set& set);
  /// Equal blocks in a row become one run, and so do blocks that take turns (a striped disk).
  pb::MapSegment encode() const;

 private:
  std::size_t place(BlockIndex block) const { return raw(block) - raw(blocks_.begin); }
  std::uint32_t number_of(const Set& set);
  std::size_t cycle_length(std::size_t begin, std::size_t cycle) const;

  const std::uint32_t segment_;
  const BlockRange blocks_;
  std::vector<Set> sets_;
  std::map<Set, std::uint32_t> numbers_;  ///< of sets_
  std::vector<std::uint32_t> of_block_;   ///< index into sets_
};

}  // namespace ukai
