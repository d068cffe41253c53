// SPDX-License-Identifier: BSD-2-Clause
#include "node/read_streams.h"

#include <gtest/gtest.h>

namespace ukai {
namespace {

constexpr std::uint32_t block_size = 8U << 20;
constexpr std::uint32_t piece = 1U << 20;

class ReadStreamsTest : public testing::Test {
 protected:
  /// nullopt: nothing is to be fetched.
  std::optional<std::uint64_t> read(std::uint64_t block, std::uint32_t begin,
                                    std::uint32_t length = piece) {
    const auto next = streams.note(BlockIndex{block}, {begin, begin + length}, block_size);
    if (!next) return std::nullopt;
    return raw(*next);
  }
  /// Reads the block in order, and returns what was to be fetched on the way: at most one.
  std::optional<std::uint64_t> read_whole(std::uint64_t block) {
    std::optional<std::uint64_t> found;
    for (std::uint32_t at = 0; at < block_size; at += piece) {
      if (const auto next = read(block, at)) {
        EXPECT_FALSE(found.has_value());
        found = next;
      }
    }
    return found;
  }

  ReadStreams streams;
};

TEST_F(ReadStreamsTest, wants_the_next_block_when_a_reader_in_order_comes_to_the_middle) {
  EXPECT_EQ(read(7, 0), std::nullopt);
  EXPECT_EQ(read(7, piece), std::nullopt);
  EXPECT_EQ(read(7, 2 * piece), std::nullopt);
  EXPECT_EQ(read(7, 3 * piece), 8U);
  EXPECT_EQ(read(7, 4 * piece), std::nullopt);
}

TEST_F(ReadStreamsTest, wants_it_in_each_block_that_follows) {
  for (std::uint64_t block = 0; block < 5; ++block) EXPECT_EQ(read_whole(block), block + 1);
}

TEST_F(ReadStreamsTest, wants_it_of_reads_as_long_as_a_block_from_the_second_on) {
  EXPECT_EQ(read(0, 0, block_size), std::nullopt);
  EXPECT_EQ(read(1, 0, block_size), 2U);
  EXPECT_EQ(read(2, 0, block_size), 3U);
}

TEST_F(ReadStreamsTest, wants_nothing_of_reads_here_and_there) {
  for (std::uint64_t i = 0; i < 200; ++i) {
    const auto at = static_cast<std::uint32_t>(i * 5 % 8) * piece;
    EXPECT_EQ(read(i * 37 % 101, at), std::nullopt);
  }
}

TEST_F(ReadStreamsTest, tells_readers_apart) {
  for (std::uint32_t at = 0; at < 3 * piece; at += piece) {
    for (const std::uint64_t block : {10, 20, 30, 40}) EXPECT_EQ(read(block, at), std::nullopt);
  }
  for (const std::uint64_t block : {10, 20, 30, 40}) EXPECT_EQ(read(block, 3 * piece), block + 1);
}

TEST_F(ReadStreamsTest, goes_on_beside_reads_here_and_there) {
  std::uint64_t wanted = 0;
  for (std::uint64_t block = 0; block < 4; ++block) {
    for (std::uint32_t at = 0; at < block_size; at += piece) {
      wanted += read(block, at) == block + 1 ? 1 : 0;
      read(1000 + block * 8 + at / piece, piece);
    }
  }
  EXPECT_EQ(wanted, 4U);
}

TEST_F(ReadStreamsTest, learns_that_the_blocks_between_are_elsewhere) {
  EXPECT_EQ(read_whole(2), 3U);  // as far as is known
  EXPECT_EQ(read_whole(5), 8U);
  EXPECT_EQ(read_whole(8), 11U);
}

TEST_F(ReadStreamsTest, wants_small_blocks_some_ahead) {
  constexpr std::uint32_t small = 64U << 10;
  for (std::uint64_t block = 0; block < 5; ++block) {
    const auto next = streams.note(BlockIndex{3 * block}, {0, small}, small);
    EXPECT_EQ(next.has_value(), block > 0);
    EXPECT_EQ(raw(next.value_or(BlockIndex{3 * (block + 128)})), 3 * (block + 128)) << "8 MiB here";
  }
}

TEST_F(ReadStreamsTest, does_not_take_a_far_jump_or_one_back_for_the_same_reader) {
  read_whole(2);
  EXPECT_EQ(read(2 + 65, 0, block_size), std::nullopt);
  read_whole(500);
  EXPECT_EQ(read(499, 0, block_size), std::nullopt);
}

}  // namespace
}  // namespace ukai
