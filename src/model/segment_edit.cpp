// SPDX-License-Identifier: BSD-2-Clause
#include "model/segment_edit.h"

#include <algorithm>

namespace ukai {
namespace {

pb::ReplicaSet to_record(const SegmentEdit::Set& set) {
  pb::ReplicaSet out;
  for (const Location& location : set) {
    out.add_nodes(location.node.str());
    out.add_status(static_cast<std::uint32_t>(location.status));
  }
  return out;
}

}  // namespace

SegmentEdit::SegmentEdit(const pb::MapSegment& segment)
    : segment_(segment.segment()), blocks_(MapSegmentView(segment).blocks()) {
  const MapSegmentView view(segment);
  of_block_.reserve(blocks_.count());
  for (const MapSegmentView::Span& span : view.spans()) {
    const std::uint32_t number = number_of(view.sets()[span.set]);
    of_block_.insert(of_block_.end(), span.blocks.count(), number);
  }
}

std::uint32_t SegmentEdit::number_of(const Set& set) {
  const auto [at, added] = numbers_.try_emplace(set, static_cast<std::uint32_t>(sets_.size()));
  if (added) sets_.push_back(set);
  return at->second;
}

void SegmentEdit::replace(BlockIndex block, const Set& set) {
  of_block_[place(block)] = number_of(set);
}

/// How many blocks from `begin` on repeat what stood `cycle` blocks before.
std::size_t SegmentEdit::cycle_length(std::size_t begin, std::size_t cycle) const {
  std::size_t end = std::min(begin + cycle, of_block_.size());
  while (end < of_block_.size() && of_block_[end] == of_block_[end - cycle]) ++end;
  return end - begin;
}

pb::MapSegment SegmentEdit::encode() const {
  pb::MapSegment out;
  out.set_segment(segment_);
  std::map<std::vector<std::uint32_t>, std::uint32_t> known;  // cycles of sets, where they begin
  for (std::size_t at = 0; at < of_block_.size();) {
    // A longer cycle must pay for itself: it is seen at least twice.
    std::size_t cycle = 1;
    std::size_t length = cycle_length(at, 1);
    for (std::size_t longer = 2; longer <= limits::disk_nodes_max; ++longer) {
      const std::size_t reach = cycle_length(at, longer);
      if (reach < 2 * longer || reach <= length + longer) continue;
      cycle = longer;
      length = reach;
    }
    const auto begin = of_block_.begin() + static_cast<std::ptrdiff_t>(at);
    std::vector<std::uint32_t> turn(begin, begin + static_cast<std::ptrdiff_t>(cycle));
    const auto [first, added] =
        known.try_emplace(std::move(turn), static_cast<std::uint32_t>(out.sets_size()));
    if (added) {
      for (const std::uint32_t number : first->first) *out.add_sets() = to_record(sets_[number]);
    }
    pb::MapRun* run = out.add_runs();
    run->set_blocks(static_cast<std::uint32_t>(length));
    run->set_first_set(first->second);
    run->set_cycle(static_cast<std::uint32_t>(cycle));
    at += length;
  }
  return out;
}

}  // namespace ukai
