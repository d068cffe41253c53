// SPDX-License-Identifier: BSD-2-Clause
#include "disk/latency_quantile.h"

#include <algorithm>

namespace ukai {

void LatencyQuantile::add(Duration sample) {
  const std::int64_t sample_ns = sample.count();
  if (samples_ < samples_min) {
    ++samples_;
    estimate_ns_ = std::max(estimate_ns_, sample_ns);  // begin above, and come down
    return;
  }
  // A step of 0.5 % down for 9.5 % up.
  const std::int64_t step_ns = std::max<std::int64_t>(estimate_ns_ / 200, 100);
  if (sample_ns > estimate_ns_) {
    estimate_ns_ += 19 * step_ns;
  } else {
    estimate_ns_ = std::max<std::int64_t>(estimate_ns_ - step_ns, 0);
  }
}

}  // namespace ukai
