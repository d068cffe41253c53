// SPDX-License-Identifier: BSD-2-Clause
#pragma once

#include <cstdint>

#include "ukai/scheduler.h"

namespace ukai {

/// The 95th percentile of a stream of latencies, followed in constant space: each sample above the
/// estimate lifts it 19 times as far as one below lowers it, so it rests where 5 % are above
/// (stochastic approximation, Robbins and Monro 1951).
///
/// Threads: one at a time.
class LatencyQuantile {
 public:
  /// What is assumed before enough samples have come.
  static constexpr Duration initial = std::chrono::milliseconds(50);

  void add(Duration sample);
  Duration value() const { return samples_ < samples_min ? initial : Duration(estimate_ns_); }

 private:
  static constexpr std::uint32_t samples_min = 20;

  std::int64_t estimate_ns_ = 0;
  std::uint32_t samples_ = 0;
};

}  // namespace ukai
