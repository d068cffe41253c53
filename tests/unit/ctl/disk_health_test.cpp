// SPDX-License-Identifier: BSD-2-Clause
#include "ctl/disk_health.h"

#include <gtest/gtest.h>

namespace ukai::ctl {
namespace {

pb::DiskRecord disk_on(const std::vector<std::string>& nodes) {
  pb::DiskRecord record;
  for (const std::string& node : nodes) record.add_members()->set_node(node);
  return record;
}

pb::ReplicaSet set_of(const std::vector<std::string>& nodes, std::uint32_t status = 0) {
  pb::ReplicaSet set;
  for (const std::string& node : nodes) {
    set.add_nodes(node);
    set.add_status(status);
  }
  return set;
}

TEST(Judge, finds_a_disk_healthy_when_all_its_nodes_run) {
  const auto health =
      judge(disk_on({"n1", "n2"}), {{"n1", true}, {"n2", true}}, {set_of({"n1", "n2"})});
  EXPECT_EQ(health.health, Health::healthy);
  EXPECT_TRUE(health.reasons.empty());
}

TEST(Judge, finds_it_degraded_when_a_node_of_a_replicated_disk_is_down) {
  const auto record = disk_on({"n1", "n2"});
  const NodesUp nodes{{"n1", true}, {"n2", false}};
  EXPECT_TRUE(needs_map(record, nodes));
  const auto health = judge(record, nodes, {set_of({"n1", "n2"})});
  EXPECT_EQ(health.health, Health::degraded);
  EXPECT_EQ(health.reasons, (std::vector<std::string>{"node n2 is down"}));
}

TEST(Judge, finds_it_unavailable_when_some_block_has_only_that_node) {
  const auto health =
      judge(disk_on({"n1", "n2"}), {{"n1", true}, {"n2", false}}, {set_of({"n1"}), set_of({"n2"})});
  EXPECT_EQ(health.health, Health::unavailable);
  EXPECT_EQ(health.reasons,
            (std::vector<std::string>{"node n2 is down", "no usable replica of the blocks on n2"}));
}

TEST(Judge, never_calls_a_disk_with_a_missing_member_healthy) {
  auto record = disk_on({"n1", "n2"});
  record.mutable_members(1)->set_missing(true);
  record.mutable_members(1)->set_reason("deadline");
  const auto health = judge(record, {{"n1", true}, {"n2", true}}, {set_of({"n1", "n2"})});
  EXPECT_EQ(health.health, Health::degraded);
  EXPECT_EQ(health.reasons, (std::vector<std::string>{"node n2 is missing (deadline)"}));
}

TEST(Judge, does_not_count_a_missing_replica_as_usable) {
  auto record = disk_on({"n1", "n2"});
  record.mutable_members(1)->set_missing(true);
  const auto health = judge(record, {{"n1", false}, {"n2", true}}, {set_of({"n1", "n2"})});
  EXPECT_EQ(health.health, Health::unavailable);
}

TEST(Judge, counts_the_only_location_of_a_block_even_if_its_node_is_missing) {
  auto record = disk_on({"n1", "n2"});
  record.mutable_members(1)->set_missing(true);
  const auto health =
      judge(record, {{"n1", true}, {"n2", true}}, {set_of({"n1", "n2"}), set_of({"n2"})});
  EXPECT_EQ(health.health, Health::degraded);
}

TEST(Judge, finds_out_of_sync_locations_in_the_map) {
  auto behind = set_of({"n1", "n2"});
  behind.set_status(1, 2);
  const auto health = judge(disk_on({"n1", "n2"}), {{"n1", true}, {"n2", true}}, {behind});
  EXPECT_EQ(health.health, Health::degraded);
  EXPECT_EQ(health.reasons, (std::vector<std::string>{"node n2 is out of sync for some blocks"}));
}

TEST(Judge, says_so_when_a_node_is_not_registered) {
  const auto health = judge(disk_on({"n1", "n2"}), {{"n1", true}}, {set_of({"n1", "n2"})});
  EXPECT_EQ(health.reasons, (std::vector<std::string>{"node n2 is not registered"}));
}

}  // namespace
}  // namespace ukai::ctl
