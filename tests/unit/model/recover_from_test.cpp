// SPDX-License-Identifier: BSD-2-Clause
#include <gtest/gtest.h>

#include "ukai/disk_change.h"
#include "ukai/members.h"

namespace ukai {
namespace {

constexpr std::uint32_t block_bytes = 4U << 20;

pb::DiskRecord disk_of(const std::vector<std::string>& nodes) {
  pb::DiskRecord record;
  record.set_block_size(block_bytes);
  record.set_size(8ULL * block_bytes);
  record.set_epoch(3);
  for (const std::string& node : nodes) record.add_members()->set_node(node);
  return record;
}

void lose(pb::DiskRecord& record, int index, std::uint64_t sequence) {
  record.mutable_members(index)->set_missing(true);
  record.mutable_members(index)->set_since_epoch(1);
  record.mutable_members(index)->set_since_sequence(sequence);
}

std::vector<pb::MapSegment> map_of(const std::vector<std::string>& nodes, bool stripe = false,
                                   std::uint32_t replicas = 0) {
  Placement placement;
  for (const std::string& node : nodes) placement.nodes.emplace_back(node);
  placement.stripe = stripe;
  placement.replicas = replicas;
  return make_map({8ULL * block_bytes, block_bytes}, *check_placement(placement));
}

TEST(RecoverFrom, makes_the_stale_replica_the_only_one_in_sync) {
  pb::DiskRecord record = disk_of({"n1", "n2"});
  lose(record, 1, 7);
  const auto recovered = recover_from(record, map_of({"n1", "n2"}), NodeId("n2"), Epoch{4});
  EXPECT_EQ(recovered.blocks, 8U);
  ASSERT_EQ(recovered.in_sync.size(), 1U);
  EXPECT_EQ(recovered.in_sync[0].str(), "n1");
  const MemberTable members(recovered.record);
  EXPECT_TRUE(members.missing(0));
  EXPECT_FALSE(members.missing(1));
  EXPECT_TRUE(recovered.record.members(0).compare_all());
  EXPECT_FALSE(recovered.record.members(1).compare_all());
  EXPECT_TRUE(recovered.segments.empty());
}

TEST(RecoverFrom, compares_those_that_were_missing_already_as_well) {
  pb::DiskRecord record = disk_of({"n1", "n2", "n3"});
  lose(record, 1, 7);
  lose(record, 2, 8);
  const auto recovered = recover_from(record, map_of({"n1", "n2", "n3"}), NodeId("n2"), Epoch{4});
  EXPECT_TRUE(recovered.record.members(2).compare_all());
  EXPECT_EQ(recovered.record.members(2).since_sequence(), 8U);  // its place in the order stays
}

TEST(RecoverFrom, has_nothing_to_do_for_a_replica_that_is_in_sync) {
  const auto recovered =
      recover_from(disk_of({"n1", "n2"}), map_of({"n1", "n2"}), NodeId("n2"), Epoch{4});
  EXPECT_EQ(recovered.blocks, 0U);
  EXPECT_TRUE(recovered.in_sync.empty());
}

TEST(RecoverFrom, leaves_members_alone_that_share_no_block_with_it) {
  pb::DiskRecord record = disk_of({"n1", "n2", "n3", "n4"});
  lose(record, 1, 7);
  const auto recovered =
      recover_from(record, map_of({"n1", "n2", "n3", "n4"}, true, 2), NodeId("n2"), Epoch{4});
  EXPECT_EQ(recovered.blocks, 4U);  // of n1+n2 and n2+n3
  EXPECT_TRUE(recovered.record.members(0).missing());
  EXPECT_TRUE(recovered.record.members(2).missing());
  EXPECT_FALSE(recovered.record.members(3).missing());
}

TEST(RecoverFrom, takes_back_what_the_map_called_out_of_sync) {
  auto segments = map_of({"n1", "n2"});
  segments[0].mutable_sets(0)->set_status(1, 2);
  const auto recovered = recover_from(disk_of({"n1", "n2"}), segments, NodeId("n2"), Epoch{4});
  EXPECT_EQ(recovered.blocks, 8U);
  ASSERT_EQ(recovered.segments.size(), 1U);
  EXPECT_EQ(recovered.segments[0].sets(0).status(1), 0U);
}

}  // namespace
}  // namespace ukai
