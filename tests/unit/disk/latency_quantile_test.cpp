// SPDX-License-Identifier: BSD-2-Clause
#include "disk/latency_quantile.h"

#include <gtest/gtest.h>

#include <random>

namespace ukai {
namespace {

using namespace std::chrono_literals;

Duration after_samples(int count, std::uint32_t seed, Duration longest) {
  std::mt19937 random(seed);
  std::uniform_int_distribution<std::int64_t> latency(0, longest.count());
  LatencyQuantile quantile;
  for (int i = 0; i < count; ++i) quantile.add(Duration(latency(random)));
  return quantile.value();
}

TEST(LatencyQuantile, assumes_a_slow_member_until_it_has_seen_some_answers) {
  LatencyQuantile quantile;
  for (int i = 0; i < 19; ++i) quantile.add(1ms);
  EXPECT_EQ(quantile.value(), LatencyQuantile::initial);
  quantile.add(1ms);
  EXPECT_EQ(quantile.value(), Duration(1ms));
}

TEST(LatencyQuantile, rests_near_the_95th_percentile) {
  for (std::uint32_t seed = 1; seed <= 5; ++seed) {
    const Duration found = after_samples(5000, seed, 1000us);
    EXPECT_GT(found, 850us) << seed;
    EXPECT_LT(found, 1100us) << seed;
  }
}

TEST(LatencyQuantile, follows_a_member_that_becomes_fast) {
  LatencyQuantile quantile;
  for (int i = 0; i < 100; ++i) quantile.add(100ms);
  for (int i = 0; i < 2000; ++i) quantile.add(1ms);
  EXPECT_LT(quantile.value(), 2ms);
}

}  // namespace
}  // namespace ukai
