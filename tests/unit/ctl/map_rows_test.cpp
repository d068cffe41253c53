// SPDX-License-Identifier: BSD-2-Clause
#include "ctl/map_rows.h"

#include <gtest/gtest.h>

namespace ukai::ctl {
namespace {

constexpr std::uint64_t block_bytes = limits::block_size_bytes_default;

BlockRange blocks(std::uint64_t begin, std::uint64_t end) {
  return {BlockIndex{begin}, BlockIndex{end}};
}

std::vector<pb::MapSegment> map_of(std::uint64_t count, std::vector<std::string> nodes,
                                   bool stripe = false, std::uint32_t replicas = 0) {
  Placement placement;
  for (std::string& node : nodes) placement.nodes.emplace_back(std::move(node));
  placement.stripe = stripe;
  placement.replicas = replicas;
  auto checked = check_placement(placement);
  EXPECT_TRUE(checked.ok());
  return make_map(*make_geometry(count * block_bytes, block_bytes), *checked);
}

TEST(MapRows, show_a_uniform_disk_in_one_row_over_all_segments) {
  const std::uint64_t count = limits::segment_blocks * 2 + 5;
  const auto rows = map_rows(map_of(count, {"n1", "n2"}), {}, blocks(0, count));
  ASSERT_EQ(rows.size(), 1U);
  EXPECT_EQ(rows[0], (MapRow{blocks(0, count), {{{"n1", 'Y'}, {"n2", 'Y'}}}}));
}

TEST(MapRows, show_a_striped_disk_in_one_row_although_segments_begin_within_the_cycle) {
  const std::uint64_t count = limits::segment_blocks * 3;  // no multiple of 3 a segment
  const auto rows = map_rows(map_of(count, {"n1", "n2", "n3"}, true), {}, blocks(0, count));
  ASSERT_EQ(rows.size(), 1U);
  EXPECT_EQ(rows[0].cycle, (std::vector<Replicas>{{{"n1", 'Y'}}, {{"n2", 'Y'}}, {{"n3", 'Y'}}}));
}

TEST(MapRows, begin_a_cycle_where_the_wanted_blocks_begin) {
  const auto rows = map_rows(map_of(9, {"n1", "n2", "n3"}, true), {}, blocks(2, 9));
  ASSERT_EQ(rows.size(), 1U);
  EXPECT_EQ(rows[0].blocks.count(), 7U);
  EXPECT_EQ(rows[0].cycle[0][0].node, "n3");
}

TEST(MapRows, single_out_the_blocks_that_a_missing_member_lacks) {
  Missed missed;
  missed["n2"].blocks = {blocks(3, 5), blocks(7, 8)};
  const auto rows = map_rows(map_of(10, {"n1", "n2"}), missed, blocks(0, 10));
  const Replicas in_sync{{"n1", 'Y'}, {"n2", 'Y'}};
  const Replicas behind{{"n1", 'Y'}, {"n2", 'N'}};
  EXPECT_EQ(rows, (std::vector<MapRow>{{blocks(0, 3), {in_sync}},
                                       {blocks(3, 5), {behind}},
                                       {blocks(5, 7), {in_sync}},
                                       {blocks(7, 8), {behind}},
                                       {blocks(8, 10), {in_sync}}}));
}

TEST(MapRows, do_not_guess_while_a_log_cannot_be_asked) {
  Missed missed;
  missed["n2"] = {false, {blocks(0, 1)}};
  const auto rows = map_rows(map_of(2, {"n1", "n2"}), missed, blocks(0, 2));
  ASSERT_EQ(rows.size(), 2U);
  EXPECT_EQ(rows[0].cycle[0][1].status, 'N');
  EXPECT_EQ(rows[1].cycle[0][1].status, '?');
}

TEST(MapRows, keep_the_only_location_of_a_block_in_sync) {
  Missed missed;
  missed["n1"].complete = false;
  const auto rows = map_rows(map_of(4, {"n1", "n2"}, true), missed, blocks(0, 4));
  ASSERT_EQ(rows.size(), 1U);
  EXPECT_EQ(rows[0].cycle, (std::vector<Replicas>{{{"n1", 'Y'}}, {{"n2", 'Y'}}}));
}

TEST(MapRows, split_a_stripe_around_a_missed_block) {
  Missed missed;
  missed["n2"].blocks = {blocks(4, 5)};
  const auto rows = map_rows(map_of(12, {"n1", "n2", "n3"}, true, 2), missed, blocks(0, 12));
  // Block 4 lies on n2 and n3, and n2 lacks it.
  ASSERT_EQ(rows.size(), 3U);
  EXPECT_EQ(rows[1], (MapRow{blocks(4, 5), {{{"n2", 'N'}, {"n3", 'Y'}}}}));
  EXPECT_EQ(rows[2].cycle[0], (Replicas{{"n3", 'Y'}, {"n1", 'Y'}}));
}

TEST(MapRows, take_the_status_from_the_map) {
  auto segments = map_of(1, {"n1", "n2", "n3"});
  segments[0].mutable_sets(0)->set_status(1, 1);
  segments[0].mutable_sets(0)->set_status(2, 2);
  const auto rows = map_rows(segments, {}, blocks(0, 1));
  EXPECT_EQ(rows[0].cycle[0], (Replicas{{"n1", 'Y'}, {"n2", 'S'}, {"n3", 'N'}}));
}

TEST(Normalise, joins_what_several_logs_say) {
  const auto joined = normalise({blocks(5, 7), blocks(1, 3), blocks(3, 4), blocks(6, 9)});
  ASSERT_EQ(joined.size(), 2U);
  EXPECT_EQ(raw(joined[0].begin), 1U);
  EXPECT_EQ(raw(joined[0].end), 4U);
  EXPECT_EQ(raw(joined[1].end), 9U);
}

TEST(ParseBlocks, takes_inclusive_ranges_and_single_numbers) {
  auto range = parse_blocks("2-5", 10);
  ASSERT_TRUE(range.ok());
  EXPECT_EQ(range->count(), 4U);
  EXPECT_EQ(parse_blocks("9", 10)->count(), 1U);
}

TEST(ParseBlocks, refuses_everything_else) {
  for (const char* text : {"", "-", "a", "1-", "-3", "3-2", "10", "0-10", "1-2-3", "0x1", " 1"}) {
    EXPECT_TRUE(parse_blocks(text, 10).failed_with(Code::invalid)) << text;
  }
}

}  // namespace
}  // namespace ukai::ctl
