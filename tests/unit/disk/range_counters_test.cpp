// SPDX-License-Identifier: BSD-2-Clause
#include "disk/range_counters.h"

#include <gtest/gtest.h>

namespace ukai {
namespace {

constexpr std::uint32_t block = 4096;

ByteRange bytes(std::uint64_t first_block, std::uint64_t length) {
  return {first_block * block, first_block * block + length};
}

TEST(RangeCounters, count_where_a_request_begins) {
  RangeCounters counters(256 * block, block);
  counters.count_read(bytes(3, 512));
  counters.count_read(bytes(3, 1024));
  counters.count_write(bytes(255, 4096));
  counters.count_write(bytes(7, 0));
  pb::DiskStatusInfo info;
  counters.report(info);
  EXPECT_EQ(info.range_blocks(), 1U);
  ASSERT_EQ(info.ranges_size(), 2);
  EXPECT_EQ(info.ranges(0).range(), 3U);
  EXPECT_EQ(info.ranges(0).reads(), 2U);
  EXPECT_EQ(info.ranges(0).read_bytes(), 1536U);
  EXPECT_EQ(info.ranges(1).range(), 255U);
  EXPECT_EQ(info.ranges(1).writes(), 1U);
}

TEST(RangeCounters, have_parts_as_wide_as_the_disk_needs) {
  const auto width = [](std::uint64_t size_bytes) {
    pb::DiskStatusInfo info;
    RangeCounters(size_bytes, block).report(info);
    return info.range_blocks();
  };
  EXPECT_EQ(width(0), 1U);
  EXPECT_EQ(width(256 * block), 1U);
  EXPECT_EQ(width(256 * block + 1), 2U);
  EXPECT_EQ(width(1024 * block), 4U);
}

TEST(RangeCounters, count_what_the_disk_has_gained_in_the_last_part) {
  RangeCounters counters(1024 * block, block);
  counters.count_write(bytes(1023, 1));
  counters.count_write(bytes(5000, 1));
  pb::DiskStatusInfo info;
  counters.report(info);
  ASSERT_EQ(info.ranges_size(), 1);
  EXPECT_EQ(info.ranges(0).range(), 255U);
  EXPECT_EQ(info.ranges(0).writes(), 2U);
}

}  // namespace
}  // namespace ukai
