// SPDX-License-Identifier: BSD-2-Clause
#include "disk/extents.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace ukai {
namespace {

using testing::IsEmpty;

constexpr bool data = true;
constexpr bool hole = false;

TEST(Extents, are_pairs_of_little_endian_numbers_on_the_wire) {
  const Payload payload = encode_extents({{0x01020304, 0x05060708}});
  EXPECT_EQ(payload.to_string(), "\x04\x03\x02\x01\x08\x07\x06\x05");
}

TEST(Extents, come_back_as_they_were_sent) {
  const std::vector<Extent> extents{{0, 1}, {1, 4096}, {8192, 0xffffffff}};
  EXPECT_EQ(*decode_extents(encode_extents(extents)), extents);
  EXPECT_THAT(*decode_extents(Payload()), IsEmpty());
}

TEST(Extents, that_make_no_sense_are_corrupt_instead_of_believed) {
  EXPECT_TRUE(decode_extents(Payload(Bytes::copy_of("1234567"))).failed_with(Code::corrupt));
  const std::vector<std::vector<Extent>> bad = {
      {{5, 5}}, {{6, 5}}, {{0, 10}, {9, 20}}, {{10, 20}, {0, 5}}};
  for (const auto& extents : bad) {
    EXPECT_TRUE(decode_extents(encode_extents(extents)).failed_with(Code::corrupt));
  }
}

TEST(ExtentCursor, finds_data_at_the_offset_or_where_it_begins_next) {
  const ByteRange block{1000, 2000};
  const std::vector<Extent> extents{{100, 200}, {500, 600}};
  EXPECT_EQ(ExtentCursor(1000, data).look(block, extents), 1100U);
  EXPECT_EQ(ExtentCursor(1100, data).look(block, extents), 1100U);
  EXPECT_EQ(ExtentCursor(1199, data).look(block, extents), 1199U);
  EXPECT_EQ(ExtentCursor(1200, data).look(block, extents), 1500U);
  EXPECT_EQ(ExtentCursor(1600, data).look(block, extents), std::nullopt);
}

TEST(ExtentCursor, finds_a_hole_at_the_offset_or_where_data_ends) {
  const ByteRange block{1000, 2000};
  const std::vector<Extent> extents{{0, 200}, {200, 300}, {500, 1000}};
  EXPECT_EQ(ExtentCursor(1000, hole).look(block, extents), 1300U);
  EXPECT_EQ(ExtentCursor(1299, hole).look(block, extents), 1300U);
  EXPECT_EQ(ExtentCursor(1400, hole).look(block, extents), 1400U);
  EXPECT_EQ(ExtentCursor(1500, hole).look(block, extents), std::nullopt);
  EXPECT_EQ(ExtentCursor(1000, hole).look(block, {}), 1000U);
}

TEST(ExtentCursor, goes_on_from_block_to_block) {
  ExtentCursor for_data(10, data);
  EXPECT_EQ(for_data.look({0, 1000}, {{0, 5}}), std::nullopt);
  EXPECT_EQ(for_data.look({1000, 2000}, {}), std::nullopt);
  EXPECT_EQ(for_data.look({2000, 3000}, {{7, 8}}), 2007U);
  ExtentCursor for_hole(10, hole);
  EXPECT_EQ(for_hole.look({0, 1000}, {{0, 1000}}), std::nullopt);
  EXPECT_EQ(for_hole.look({1000, 2000}, {{0, 999}}), 1999U);
}

TEST(ExtentCursor, reports_a_hole_at_a_blocks_first_byte) {
  ExtentCursor cursor(0, hole);
  EXPECT_EQ(cursor.look({0, 1000}, {{0, 1000}}), std::nullopt);
  EXPECT_EQ(cursor.look({1000, 2000}, {{1, 1000}}), 1000U);
}

TEST(ExtentCursor, believes_no_node_about_bytes_beyond_its_block) {
  EXPECT_EQ(ExtentCursor(0, data).look({0, 1000}, {{1000, 2000}}), std::nullopt);
  EXPECT_EQ(ExtentCursor(0, data).look({0, 1000}, {{5000, 6000}}), std::nullopt);
  EXPECT_EQ(ExtentCursor(0, hole).look({0, 1000}, {{0, 6000}}), std::nullopt);
  EXPECT_EQ(ExtentCursor(0, hole).look({0, 1000}, {{5000, 6000}}), 0U);
}

}  // namespace
}  // namespace ukai
