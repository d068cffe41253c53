// SPDX-License-Identifier: BSD-2-Clause
#include "ukai/members.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace ukai {
namespace {

using testing::ElementsAre;
using testing::IsEmpty;

const NodeId a("a");
const NodeId b("b");
const NodeId c("c");

pb::DiskRecord record_of(std::vector<NodeId> nodes) {
  pb::DiskRecord record;
  record.set_name("vm");
  for (const NodeId& node : nodes) record.add_members()->set_node(node.str());
  return record;
}

pb::DiskRecord missing(pb::DiskRecord record, const NodeId& node, std::uint64_t epoch,
                       std::uint64_t sequence) {
  return with_missing(std::move(record), node, Epoch{epoch}, Sequence{sequence}, "deadline");
}

std::vector<Location> in_sync_on(std::vector<NodeId> nodes) {
  std::vector<Location> locations;
  for (NodeId& node : nodes) locations.push_back({std::move(node), SyncStatus::in_sync});
  return locations;
}

TEST(MemberTable, calls_all_present_members_of_a_block_in_sync) {
  const MemberTable members(record_of({a, b, c}));
  EXPECT_THAT(members.in_sync(in_sync_on({c, a})), ElementsAre(2U, 0U));
  EXPECT_EQ(members.missing_mask(), 0U);
  EXPECT_EQ(members.index_of(c), 2U);
  EXPECT_EQ(members.index_of(NodeId("d")), std::nullopt);
}

TEST(MemberTable, leaves_a_missing_member_out_while_another_is_present) {
  const MemberTable members(missing(record_of({a, b}), b, 3, 10));
  EXPECT_THAT(members.in_sync(in_sync_on({a, b})), ElementsAre(0U));
  EXPECT_TRUE(members.missing(1));
  EXPECT_EQ(members.missing_mask(), 0b10U);
}

TEST(MemberTable, trusts_the_one_that_went_missing_last_when_none_is_present) {
  auto record = missing(record_of({a, b, c}), b, 3, 10);
  record = missing(std::move(record), a, 3, 11);
  record = missing(std::move(record), c, 3, 12);
  const MemberTable members(record);
  EXPECT_THAT(members.in_sync(in_sync_on({a, b, c})), ElementsAre(2U));
  EXPECT_THAT(members.in_sync(in_sync_on({a, b})), ElementsAre(0U));
  EXPECT_TRUE(members.is_in_sync(0, in_sync_on({a, b})));
  EXPECT_FALSE(members.is_in_sync(0, in_sync_on({a, b, c})));
}

TEST(MemberTable, compares_epochs_before_sequences) {
  auto record = missing(record_of({a, b}), a, 3, 1000);
  record = missing(std::move(record), b, 4, 1);
  EXPECT_THAT(MemberTable(record).in_sync(in_sync_on({a, b})), ElementsAre(1U));
  EXPECT_THAT(MemberTable(record).in_sync(in_sync_on({b, a})), ElementsAre(1U));
}

TEST(MemberTable, decides_by_the_blocks_own_locations_only) {
  // c went missing last, but has no replica of the block.
  auto record = missing(record_of({a, b, c}), a, 1, 1);
  record = missing(std::move(record), b, 1, 2);
  record = missing(std::move(record), c, 1, 3);
  EXPECT_THAT(MemberTable(record).in_sync(in_sync_on({a, b})), ElementsAre(1U));
}

TEST(MemberTable, never_trusts_a_replica_that_the_map_calls_out_of_sync_or_syncing) {
  const MemberTable members(missing(record_of({a, b, c}), a, 1, 1));
  const std::vector<Location> locations{
      {a, SyncStatus::in_sync}, {b, SyncStatus::syncing}, {c, SyncStatus::out_of_sync}};
  EXPECT_THAT(members.in_sync(locations), ElementsAre(0U));
}

TEST(MemberTable, ignores_locations_on_nodes_that_are_no_members) {
  const MemberTable members(record_of({a}));
  EXPECT_THAT(members.in_sync(in_sync_on({NodeId("stranger")})), IsEmpty());
  EXPECT_THAT(members.in_sync(in_sync_on({NodeId("stranger"), a})), ElementsAre(0U));
}

TEST(MemberTable, has_a_bit_for_each_of_64_members) {
  std::vector<NodeId> nodes;
  for (int i = 0; i < 64; ++i) nodes.emplace_back("n" + std::to_string(i));
  auto record = missing(record_of(nodes), NodeId("n63"), 1, 1);
  record = missing(std::move(record), NodeId("n0"), 1, 2);
  EXPECT_EQ(MemberTable(record).missing_mask(), (1ULL << 63) | 1);
}

TEST(WithMissing, records_since_when_and_why_and_leaves_the_others_alone) {
  const auto record = missing(record_of({a, b}), b, 3, 10);
  EXPECT_FALSE(record.members(0).missing());
  const pb::Member& member = record.members(1);
  EXPECT_TRUE(member.missing());
  EXPECT_EQ(member.since_epoch(), 3U);
  EXPECT_EQ(member.since_sequence(), 10U);
  EXPECT_EQ(member.reason(), "deadline");
  EXPECT_EQ(record.name(), "vm");
}

TEST(WithMissing, keeps_the_first_place_of_a_member_that_is_missing_already) {
  const auto record = missing(missing(record_of({a, b}), b, 3, 10), b, 4, 20);
  EXPECT_EQ(record.members(1).since_epoch(), 3U);
  EXPECT_EQ(record.members(1).since_sequence(), 10U);
}

TEST(WithPresent, forgets_that_a_member_was_missing_and_since_when) {
  auto record = missing(missing(record_of({a, b}), a, 3, 10), b, 3, 11);
  record = with_present(std::move(record), b);
  EXPECT_THAT(MemberTable(record).in_sync(in_sync_on({a, b})), ElementsAre(1U));
  EXPECT_TRUE(record.members(0).missing());
  EXPECT_EQ(record.members(1).SerializeAsString(), record_of({b}).members(0).SerializeAsString());
}

TEST(WithPresent, keeps_every_members_index) {
  auto record = missing(record_of({a, b, c}), b, 1, 1);
  record = with_present(std::move(record), b);
  EXPECT_THAT(MemberTable(record).names(), ElementsAre("a", "b", "c"));
}

}  // namespace
}  // namespace ukai
