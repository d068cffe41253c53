// SPDX-License-Identifier: BSD-2-Clause
#pragma once

#include <array>
#include <atomic>
#include <cstdint>

#include "ukai/types.h"
#include "ukai_host.pb.h"

namespace ukai {

/// How often a host's guests have read and written each part of a disk (the original's block
/// statistics, for disks of any size). A part is a power of two of blocks, and there are at most
/// 256; what a disk has gained since it was attached counts in the last one.
///
/// Threads: safe from any. Never waits.
class RangeCounters {
 public:
  static constexpr std::size_t ranges_max = 256;

  RangeCounters(std::uint64_t disk_size_bytes, std::uint32_t block_size_bytes);

  /// A request counts where it begins.
  void count_read(ByteRange range) { count(range, reads_); }
  void count_write(ByteRange range) { count(range, writes_); }
  /// Those that are not zero.
  void report(pb::DiskStatusInfo& info) const;

 private:
  struct Tally {
    std::atomic<std::uint64_t> requests{0};
    std::atomic<std::uint64_t> bytes{0};
  };
  using Tallies = std::array<Tally, ranges_max>;

  void count(ByteRange range, Tallies& tallies);

  const std::uint32_t block_size_bytes_;
  const std::uint32_t shift_;  ///< a part has 2^shift blocks
  Tallies reads_;
  Tallies writes_;
};

}  // namespace ukai
