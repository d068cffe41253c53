// SPDX-License-Identifier: BSD-2-Clause
#include "disk/pacer.h"

#include <gtest/gtest.h>

namespace ukai {
namespace {

using namespace std::chrono_literals;
const TimePoint begin = TimePoint{} + 100s;

TEST(Pacer, shares_the_rate_among_those_who_copy) {
  Pacer pacer;
  EXPECT_EQ(pacer.share(0, 4, begin), 0U);
  EXPECT_EQ(pacer.share(4000, 4, begin), 1000U);
}

TEST(Pacer, lets_a_copy_make_up_for_the_pause_before_it) {
  Pacer pacer;
  (void)pacer.share(1000, 1, begin);
  pacer.moved(1000);  // a second's worth
  EXPECT_EQ(pacer.share(1000, 1, begin + 1s), 1000U);
  EXPECT_EQ(pacer.share(1000, 1, begin + 1500ms), 1500U);
  EXPECT_EQ(pacer.share(1000, 1, begin + 10s), 2000U);
  EXPECT_EQ(pacer.share(1000, 1, begin + 750ms), 500U) << "what it was late for is forgotten";
}

TEST(Pacer, keeps_the_rate_over_copies_with_pauses) {
  Pacer pacer;
  TimePoint now = begin;
  std::uint64_t bytes = 0;
  while (now < begin + 20s) {
    const std::uint64_t rate = pacer.share(8'000'000, 2, now);
    const double seconds = 1e6 / static_cast<double>(rate);  // two copies side by side
    now += std::chrono::duration_cast<Duration>(std::chrono::duration<double>(seconds)) + 60ms;
    for (int i = 0; i < 2; ++i) pacer.moved(1'000'000);
    bytes += 2'000'000;
  }
  EXPECT_NEAR(static_cast<double>(bytes) / 20, 8e6, 0.4e6);
}

TEST(Pacer, begins_anew_with_another_rate) {
  Pacer pacer;
  (void)pacer.share(1000, 1, begin);
  pacer.moved(100'000);
  EXPECT_EQ(pacer.share(2000, 1, begin + 1s), 2000U);
}

}  // namespace
}  // namespace ukai
