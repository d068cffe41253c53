// SPDX-License-Identifier: BSD-2-Clause
#include "disk/size_histogram.h"

#include <gmock/gmock.h>

#include <map>

namespace ukai {
namespace {

using testing::Contains;
using testing::Pair;
using testing::SizeIs;

TEST(SizeHistogram, counts_units_of_512_bytes_rounded_down) {
  SizeHistogram histogram;
  for (const std::uint64_t bytes : {1, 511, 512, 4096, 4096, 1 << 20, 1 << 30}) {
    histogram.count(bytes);
  }
  std::map<std::uint32_t, std::uint64_t> found;
  histogram.fill(found);
  EXPECT_THAT(found, SizeIs(4));
  EXPECT_THAT(found, Contains(Pair(0, 2)));
  EXPECT_THAT(found, Contains(Pair(1, 1)));
  EXPECT_THAT(found, Contains(Pair(8, 2)));
  EXPECT_THAT(found, Contains(Pair(2048, 2)));
}

}  // namespace
}  // namespace ukai
