// SPDX-License-Identifier: BSD-2-Clause
#include "disk/guest_watch.h"

#include <gtest/gtest.h>

namespace ukai {
namespace {

using namespace std::chrono_literals;
const TimePoint begin = TimePoint{} + 1000s;

TEST(GuestWatch, tells_a_guest_at_work_from_one_that_rests) {
  GuestWatch watch;
  (void)watch.works(50'000, begin);
  EXPECT_TRUE(watch.works(50'400, begin + 1s));
  EXPECT_TRUE(watch.works(50'400, begin + 1100ms)) << "a moment without requests is no rest";
  EXPECT_FALSE(watch.works(50'402, begin + 2s));
  EXPECT_TRUE(watch.works(50'500, begin + 3s));
}

}  // namespace
}  // namespace ukai
