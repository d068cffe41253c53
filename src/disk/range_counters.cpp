// SPDX-License-Identifier: BSD-2-Clause
#include "disk/range_counters.h"

#include <algorithm>

namespace ukai {
namespace {

std::uint32_t shift_for(std::uint64_t size_bytes, std::uint32_t block_size_bytes) {
  const std::uint64_t last = size_bytes == 0 ? 0 : (size_bytes - 1) / block_size_bytes;
  std::uint32_t shift = 0;
  while (last >> shift >= RangeCounters::ranges_max) ++shift;
  return shift;
}

}  // namespace

RangeCounters::RangeCounters(std::uint64_t disk_size_bytes, std::uint32_t block_size_bytes)
    : block_size_bytes_(block_size_bytes), shift_(shift_for(disk_size_bytes, block_size_bytes)) {}

void RangeCounters::count(ByteRange range, Tallies& tallies) {
  if (range.empty()) return;
  const std::uint64_t part = (range.begin_bytes / block_size_bytes_) >> shift_;
  Tally& tally = tallies[std::min<std::uint64_t>(part, ranges_max - 1)];
  tally.requests.fetch_add(1, std::memory_order_relaxed);
  tally.bytes.fetch_add(range.size_bytes(), std::memory_order_relaxed);
}

void RangeCounters::report(pb::DiskStatusInfo& info) const {
  info.set_range_blocks(std::uint64_t{1} << shift_);
  for (std::size_t i = 0; i < ranges_max; ++i) {
    if (reads_[i].requests == 0 && writes_[i].requests == 0) continue;
    pb::RangeCount* out = info.add_ranges();
    out->set_range(static_cast<std::uint32_t>(i));
    out->set_reads(reads_[i].requests);
    out->set_writes(writes_[i].requests);
    out->set_read_bytes(reads_[i].bytes);
    out->set_written_bytes(writes_[i].bytes);
  }
}

}  // namespace ukai
