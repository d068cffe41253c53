// SPDX-License-Identifier: BSD-2-Clause
#include "ukai/geometry.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <limits>

#include "ukai/limits.h"

namespace ukai {
namespace {

using testing::HasSubstr;

constexpr std::uint32_t block_bytes = 1U << 20;
constexpr Geometry ten_blocks{10ULL * block_bytes, block_bytes};

void expect_part(const BlockPart& part, std::uint64_t block, std::uint32_t offset,
                 std::uint32_t length) {
  EXPECT_EQ(raw(part.block), block);
  EXPECT_EQ(part.offset_bytes, offset);
  EXPECT_EQ(part.length_bytes, length);
}

std::string refusal(std::uint64_t size_bytes, std::uint64_t block_size_bytes) {
  const auto geometry = make_geometry(size_bytes, block_size_bytes);
  EXPECT_TRUE(geometry.failed_with(Code::invalid)) << size_bytes << " " << block_size_bytes;
  return geometry.ok() ? "" : geometry.error().what;
}

TEST(GeometrySplit, cuts_nothing_out_of_an_empty_range) {
  EXPECT_TRUE(ten_blocks.split({0, 0}).empty());
  EXPECT_TRUE(ten_blocks.split({block_bytes, block_bytes}).empty());
  EXPECT_TRUE(ten_blocks.split({ten_blocks.size_bytes, ten_blocks.size_bytes}).empty());
}

TEST(GeometrySplit, leaves_a_range_within_one_block_whole) {
  const auto parts = ten_blocks.split({3ULL * block_bytes + 512, 3ULL * block_bytes + 1024});
  ASSERT_EQ(parts.size(), 1U);
  expect_part(parts[0], 3, 512, 512);
}

TEST(GeometrySplit, takes_a_whole_block_as_one_part_and_touches_no_neighbour) {
  const auto parts = ten_blocks.split({2ULL * block_bytes, 3ULL * block_bytes});
  ASSERT_EQ(parts.size(), 1U);
  expect_part(parts[0], 2, 0, block_bytes);
}

TEST(GeometrySplit, cuts_at_a_border_that_is_crossed_by_one_byte) {
  const auto parts = ten_blocks.split({block_bytes - 1, block_bytes + 1});
  ASSERT_EQ(parts.size(), 2U);
  expect_part(parts[0], 0, block_bytes - 1, 1);
  expect_part(parts[1], 1, 0, 1);
}

TEST(GeometrySplit, has_whole_blocks_between_a_first_and_a_last_piece) {
  const auto parts = ten_blocks.split({block_bytes / 2, 3ULL * block_bytes + 7});
  ASSERT_EQ(parts.size(), 4U);
  expect_part(parts[0], 0, block_bytes / 2, block_bytes / 2);
  expect_part(parts[1], 1, 0, block_bytes);
  expect_part(parts[2], 2, 0, block_bytes);
  expect_part(parts[3], 3, 0, 7);
}

TEST(GeometrySplit, reaches_the_last_byte_of_the_last_block) {
  const auto parts = ten_blocks.split({ten_blocks.size_bytes - 1, ten_blocks.size_bytes});
  ASSERT_EQ(parts.size(), 1U);
  expect_part(parts[0], 9, block_bytes - 1, 1);
}

TEST(GeometrySplit, covers_every_byte_once_and_in_order) {
  for (const ByteRange range : {ByteRange{0, ten_blocks.size_bytes}, ByteRange{1, 4'194'303},
                                ByteRange{1'048'575, 1'048'577}, ByteRange{5'000'000, 9'999'999}}) {
    std::uint64_t at = range.begin_bytes;
    for (const BlockPart& part : ten_blocks.split(range)) {
      const ByteRange piece = ten_blocks.range_of(part);
      EXPECT_EQ(piece.begin_bytes, at);
      EXPECT_LE(part.offset_bytes + part.length_bytes, block_bytes);
      EXPECT_FALSE(piece.empty());
      at = piece.end_bytes;
    }
    EXPECT_EQ(at, range.end_bytes);
  }
}

TEST(GeometrySplit, counts_beyond_32_bits_at_the_end_of_the_largest_disk) {
  const Geometry largest{limits::disk_size_bytes_max, limits::block_size_bytes_min};
  const auto parts = largest.split({largest.size_bytes - 65'537, largest.size_bytes});
  ASSERT_EQ(parts.size(), 2U);
  expect_part(parts[0], largest.block_count() - 2, 65'535, 1);
  expect_part(parts[1], largest.block_count() - 1, 0, 65'536);
  EXPECT_EQ(largest.range_of(parts[1]).end_bytes, largest.size_bytes);
}

TEST(Geometry, ends_a_short_last_block_where_the_disk_ends) {
  const Geometry odd{2ULL * block_bytes + 512, block_bytes};
  EXPECT_EQ(odd.block_count(), 3U);
  EXPECT_EQ(odd.range_of(BlockIndex{1}), (ByteRange{block_bytes, 2ULL * block_bytes}));
  EXPECT_EQ(odd.range_of(BlockIndex{2}), (ByteRange{2ULL * block_bytes, 2ULL * block_bytes + 512}));
}

TEST(Geometry, knows_the_block_of_each_side_of_a_border) {
  EXPECT_EQ(ten_blocks.block_of(0), BlockIndex{0});
  EXPECT_EQ(ten_blocks.block_of(block_bytes - 1), BlockIndex{0});
  EXPECT_EQ(ten_blocks.block_of(block_bytes), BlockIndex{1});
}

TEST(Geometry, needs_a_second_segment_only_after_16384_blocks) {
  const auto segments = [](std::uint64_t blocks) {
    return Geometry{blocks * block_bytes, block_bytes}.segment_count();
  };
  EXPECT_EQ(segments(1), 1U);
  EXPECT_EQ(segments(16384), 1U);
  EXPECT_EQ(segments(16385), 2U);
  EXPECT_EQ((Geometry{limits::disk_size_bytes_max, 4U << 20}).segment_count(), 1024U);
}

TEST(MakeGeometry, takes_the_smallest_and_the_largest_of_everything) {
  EXPECT_TRUE(make_geometry(64ULL << 10, 64ULL << 10).ok());
  EXPECT_TRUE(make_geometry(64ULL << 40, 64ULL << 20).ok());
  EXPECT_EQ(make_geometry(8ULL << 20, 4ULL << 20)->block_count(), 2U);
}

TEST(MakeGeometry, refuses_block_sizes_that_are_no_power_of_two_within_the_limits) {
  for (const std::uint64_t block : {0ULL, 1ULL, 512ULL, 32ULL << 10, 3ULL << 20, 128ULL << 20,
                                    1ULL << 32, (1ULL << 32) + (4ULL << 20)}) {
    EXPECT_THAT(refusal(1ULL << 40, block), HasSubstr(std::to_string(block))) << block;
  }
}

TEST(MakeGeometry, refuses_a_disk_of_nothing_or_beyond_the_limit) {
  EXPECT_THAT(refusal(0, 4ULL << 20), HasSubstr("size is 0"));
  EXPECT_THAT(refusal((64ULL << 40) + (4ULL << 20), 4ULL << 20), HasSubstr("64 TiB"));
  // The largest number of all: rounding it up must not wrap around to a small disk.
  EXPECT_THAT(refusal(std::numeric_limits<std::uint64_t>::max(), 4ULL << 20), HasSubstr("limit"));
}

TEST(MakeGeometry, names_the_next_size_that_fits_the_block_size) {
  EXPECT_THAT(refusal((4ULL << 20) + 1, 4ULL << 20), HasSubstr("the next one is 8388608"));
  EXPECT_THAT(refusal(1, 4ULL << 20), HasSubstr("the next one is 4194304"));
}

}  // namespace
}  // namespace ukai
