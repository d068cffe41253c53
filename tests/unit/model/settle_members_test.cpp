// SPDX-License-Identifier: BSD-2-Clause
#include <gtest/gtest.h>

#include <algorithm>

#include "ukai/disk_change.h"
#include "ukai/members.h"

namespace ukai {
namespace {

pb::DiskRecord loaded_disk(const std::vector<std::string>& nodes) {
  pb::DiskRecord record;
  record.set_name("vm-1");
  record.set_epoch(1'000'000'003);
  record.set_unproven(true);
  for (const std::string& node : nodes) record.add_members()->set_node(node);
  return record;
}

Testimony says(const std::string& node, std::vector<std::string> accused = {},
               bool crashed = false) {
  return {NodeId(node), crashed, std::move(accused)};
}

pb::DiskRecord settled(const pb::DiskRecord& record, const std::vector<Testimony>& said) {
  auto out = settle_members(record, said, Epoch{record.epoch() + 1});
  EXPECT_TRUE(out.ok()) << out.error().what;
  return out.ok() ? *out : record;
}

/// The members by who knows more, as the record has them.
std::vector<std::string> order_of(const pb::DiskRecord& record) {
  std::vector<const pb::Member*> members;
  for (const pb::Member& member : record.members()) members.push_back(&member);
  std::sort(members.begin(), members.end(), [](const auto* a, const auto* b) {
    if (a->missing() != b->missing()) return b->missing();
    return a->since_sequence() > b->since_sequence();
  });
  std::vector<std::string> names;
  for (const pb::Member* member : members) names.push_back(member->node());
  return names;
}

using Names = std::vector<std::string>;

TEST(SettleMembers, takes_the_word_of_a_log_against_the_dump) {
  // n1 went missing after the dump: n2 wrote alone.
  const auto record = settled(loaded_disk({"n1", "n2"}), {says("n1"), says("n2", {"n1"})});
  EXPECT_EQ(order_of(record), (Names{"n2", "n1"}));
  EXPECT_TRUE(record.members(0).compare_all());
  EXPECT_FALSE(record.members(1).compare_all());
  EXPECT_FALSE(record.unproven());
}

TEST(SettleMembers, finds_who_was_healed_after_the_dump) {
  // The dump has n2 as missing; since then it was healed, and n1 went missing.
  auto record = loaded_disk({"n1", "n2"});
  record.mutable_members(1)->set_missing(true);
  record.mutable_members(1)->set_since_epoch(2);
  EXPECT_EQ(order_of(settled(record, {says("n1"), says("n2", {"n1"})})), (Names{"n2", "n1"}));
  // Nothing was written since: the dump is right.
  EXPECT_EQ(order_of(settled(record, {says("n1"), says("n2")})), (Names{"n1", "n2"}));
}

TEST(SettleMembers, compares_replicas_that_nobody_accuses) {
  const auto record = settled(loaded_disk({"n1", "n2"}), {says("n1"), says("n2")});
  EXPECT_TRUE(record.members(1).missing());
  EXPECT_TRUE(record.members(1).compare_all());
}

TEST(SettleMembers, keeps_the_order_in_which_members_went) {
  // n1 went first, seen by n2; then n2, seen by n3: n3 is right, and without it n2.
  const auto record = settled(loaded_disk({"n1", "n2", "n3"}),
                              {says("n1"), says("n2", {"n1"}), says("n3", {"n2"})});
  EXPECT_EQ(order_of(record), (Names{"n3", "n2", "n1"}));
  const MemberTable members(record);
  const auto in_sync =
      members.in_sync({{NodeId("n1"), SyncStatus::in_sync}, {NodeId("n2"), SyncStatus::in_sync}});
  EXPECT_EQ(in_sync, (std::vector<std::size_t>{1}));
}

TEST(SettleMembers, trusts_a_crashed_machine_less_but_more_than_one_that_missed_writes) {
  const auto disk = loaded_disk({"n1", "n2"});
  EXPECT_EQ(order_of(settled(disk, {says("n1", {}, true), says("n2")})), (Names{"n2", "n1"}));
  EXPECT_EQ(order_of(settled(disk, {says("n1", {"n2"}, true), says("n2")})), (Names{"n1", "n2"}));
}

TEST(SettleMembers, leaves_a_contradiction_to_the_operator) {
  const auto disk = loaded_disk({"n1", "n2", "n3"});
  const std::vector<Testimony> said{says("n1", {"n2"}), says("n2", {"n1"}), says("n3")};
  const auto refused = settle_members(disk, said, Epoch{disk.epoch() + 1});
  ASSERT_TRUE(refused.failed_with(Code::refused));
  EXPECT_NE(refused.error().what.find("disk recover vm-1 --from NODE"), std::string::npos);
}

TEST(SettleMembers, follows_the_operator_who_declared_one_the_truth) {
  auto disk = loaded_disk({"n1", "n2"});
  disk.mutable_members(0)->set_missing(true);
  disk.mutable_members(0)->set_compare_all(true);
  const auto record = settled(disk, {says("n1", {"n2"}), says("n2", {"n1"})});
  EXPECT_EQ(order_of(record), (Names{"n2", "n1"}));
}

TEST(SettleMembers, ignores_nodes_that_are_no_members_any_more) {
  EXPECT_EQ(order_of(settled(loaded_disk({"n1", "n2"}), {says("n1", {"n9"}), says("n2")})),
            (Names{"n1", "n2"}));
}

}  // namespace
}  // namespace ukai
