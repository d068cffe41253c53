// SPDX-License-Identifier: BSD-2-Clause
#pragma once

#include <algorithm>
#include <array>
#include <atomic>
#include <cstdint>

namespace ukai {

/// How often requests of each size came; units of 512 bytes, rounded down, as in the original.
///
/// Threads: safe from any.
class SizeHistogram {
 public:
  static constexpr std::uint64_t unit_bytes = 512;

  void count(std::uint64_t bytes) {
    counts_[std::min<std::uint64_t>(bytes / unit_bytes, counts_.size() - 1)] += 1;
  }

  /// Units to requests, without the sizes that never came.
  template <class Map>
  void fill(Map& out) const {
    for (std::uint32_t units = 0; units < counts_.size(); ++units) {
      if (const std::uint32_t count = counts_[units]) out[units] = count;
    }
  }

 private:
  // FUSE asks for 1 MiB at most; the last one counts what is beyond.
  std::array<std::atomic<std::uint32_t>, (1U << 20) / unit_bytes + 1> counts_{};
};

}  // namespace ukai
