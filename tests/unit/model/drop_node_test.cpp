// SPDX-License-Identifier: BSD-2-Clause
#include <gtest/gtest.h>

#include "ukai/disk_change.h"

namespace ukai {
namespace {

constexpr std::uint32_t block_bytes = 4U << 20;

pb::DiskRecord disk(const std::vector<std::string>& nodes) {
  pb::DiskRecord record;
  record.set_block_size(block_bytes);
  record.set_size(8ULL * block_bytes);
  for (const std::string& node : nodes) record.add_members()->set_node(node);
  return record;
}

void lose(pb::DiskRecord& record, int index, std::uint64_t sequence) {
  record.mutable_members(index)->set_missing(true);
  record.mutable_members(index)->set_since_epoch(1);
  record.mutable_members(index)->set_since_sequence(sequence);
}

std::vector<pb::MapSegment> map(const std::vector<std::string>& nodes, bool stripe = false) {
  Placement placement;
  for (const std::string& node : nodes) placement.nodes.emplace_back(node);
  placement.stripe = stripe;
  return make_map({8ULL * block_bytes, block_bytes}, *check_placement(placement));
}

TEST(DropNode, leaves_the_other_replica) {
  const auto dropped = drop_node(disk({"n1", "n2"}), map({"n1", "n2"}), NodeId("n1"));
  EXPECT_TRUE(dropped.lost.empty());
  ASSERT_EQ(dropped.record.members_size(), 1);
  EXPECT_EQ(dropped.record.members(0).node(), "n2");
  ASSERT_EQ(dropped.segments.size(), 1U);
  ASSERT_EQ(dropped.segments[0].sets(0).nodes_size(), 1);
  EXPECT_EQ(dropped.segments[0].sets(0).nodes(0), "n2");
}

TEST(DropNode, changes_nothing_where_it_has_no_location) {
  const auto dropped = drop_node(disk({"n1", "n2"}), map({"n1", "n2"}), NodeId("n9"));
  EXPECT_TRUE(dropped.lost.empty());
  EXPECT_TRUE(dropped.segments.empty());
  EXPECT_EQ(dropped.record.members_size(), 2);
}

TEST(DropNode, keeps_the_location_of_blocks_that_only_it_has) {
  const auto dropped = drop_node(disk({"n1", "n2"}), map({"n1", "n2"}, true), NodeId("n1"));
  ASSERT_EQ(dropped.lost.size(), 4U);  // every other one
  EXPECT_EQ(raw(dropped.lost[1].begin), 2U);
  EXPECT_EQ(raw(dropped.lost[1].end), 3U);
  EXPECT_TRUE(dropped.segments.empty());
  EXPECT_EQ(dropped.record.members_size(), 2);
}

TEST(DropNode, does_not_take_a_stale_replica_for_an_in_sync_one) {
  pb::DiskRecord record = disk({"n1", "n2"});
  lose(record, 1, 7);
  const auto dropped = drop_node(record, map({"n1", "n2"}), NodeId("n1"));
  ASSERT_EQ(dropped.lost.size(), 1U);
  EXPECT_EQ(dropped.lost[0].count(), 8U);
  EXPECT_TRUE(dropped.segments.empty());
}

TEST(DropNode, knows_that_the_last_one_to_go_missing_has_the_truth) {
  pb::DiskRecord record = disk({"n1", "n2"});
  lose(record, 0, 7);
  lose(record, 1, 8);
  EXPECT_TRUE(drop_node(record, map({"n1", "n2"}), NodeId("n1")).lost.empty());
  EXPECT_EQ(drop_node(record, map({"n1", "n2"}), NodeId("n2")).lost.size(), 1U);
}

TEST(DropNode, joins_what_is_lost_in_a_row) {
  const auto dropped = drop_node(disk({"n1"}), map({"n1"}), NodeId("n1"));
  ASSERT_EQ(dropped.lost.size(), 1U);
  EXPECT_EQ(dropped.lost[0].count(), 8U);
}

}  // namespace
}  // namespace ukai
