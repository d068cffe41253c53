// SPDX-License-Identifier: BSD-2-Clause
#pragma once

#include <algorithm>

#include "ukai/scheduler.h"

namespace ukai {

/// Keeps a rate over many copies. Each keeps the rate that it is given, but between them are
/// pauses: rounds end, blocks are flushed and recorded. So a copy may be as much faster as all
/// together are behind, and must be slower when they are ahead; never by more than twice. What
/// could not be moved in time for more than two seconds is forgotten, so that no burst follows.
///
/// Pure; not thread-safe.
class Pacer {
 public:
  /// Bytes a second for the next copy of one of `workers`. 0: no limit.
  std::uint64_t share(std::uint64_t rate_bytes_per_s, std::size_t workers, TimePoint now) {
    if (rate_bytes_per_s == 0) return 0;
    if (rate_bytes_per_s != rate_) {
      rate_ = rate_bytes_per_s;
      ahead_until_ = now;
    }
    const std::chrono::duration<double> behind = now - ahead_until_;
    if (behind.count() > behind_max_s) ahead_until_ = now - to_duration(behind_max_s);
    const double factor = std::clamp(1.0 + behind.count(), 0.5, 2.0);
    const double each = static_cast<double>(rate_) / static_cast<double>(workers);
    return std::max<std::uint64_t>(1, static_cast<std::uint64_t>(each * factor));
  }
  void moved(std::uint64_t bytes) {
    if (rate_ > 0)
      ahead_until_ += to_duration(static_cast<double>(bytes) / static_cast<double>(rate_));
  }

 private:
  static constexpr double behind_max_s = 2;

  static Duration to_duration(double seconds) {
    return std::chrono::duration_cast<Duration>(std::chrono::duration<double>(seconds));
  }

  std::uint64_t rate_ = 0;
  TimePoint ahead_until_{};  ///< when what has been moved was due
};

}  // namespace ukai
