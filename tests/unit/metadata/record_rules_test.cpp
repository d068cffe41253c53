// SPDX-License-Identifier: BSD-2-Clause
#include "metadata/record_rules.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <functional>

#include "catalog_fixture.h"
#include "metadata/records.h"

namespace ukai::test {
namespace {

using testing::HasSubstr;

template <class Message>
struct Damage {
  const char* why;
  std::function<void(Message&)> apply;
};

/// `good` is read as it was written; each damage is refused with a line that says why.
template <class Message>
void expect_refused(const Message& good, const std::vector<Damage<Message>>& damages) {
  auto back = decode_record<Message>("/ukai/x", encode_record(good));
  ASSERT_TRUE(back.ok()) << back.error().what;
  EXPECT_EQ(back->SerializeAsString(), good.SerializeAsString());
  for (const Damage<Message>& damage : damages) {
    Message bad = good;
    damage.apply(bad);
    auto refused = decode_record<Message>("/ukai/x", encode_record(bad));
    ASSERT_TRUE(refused.failed_with(Code::corrupt)) << damage.why;
    EXPECT_THAT(refused.error().what, HasSubstr("metadata record /ukai/x: "));
    EXPECT_THAT(refused.error().what, HasSubstr(damage.why));
  }
}

void add_missing(pb::DiskRecord& disk, const std::string& node, std::uint64_t sequence) {
  pb::Member* member = disk.add_members();
  member->set_node(node);
  member->set_missing(true);
  member->set_since_epoch(1);
  member->set_since_sequence(sequence);
}

TEST(RecordRules, refuse_a_disk_that_cannot_be) {
  pb::DiskRecord good = disk_record("vm", 64 * mib);
  good.set_epoch(2);
  good.add_allowed_hosts("h1");
  add_missing(good, "n3", 7);
  add_missing(good, "n4", 8);
  expect_refused<pb::DiskRecord>(
      good, {{"no disk id", [](auto& disk) { disk.set_id("vm"); }},
             {"no valid name", [](auto& disk) { disk.set_name("../etc"); }},
             {"block size 0", [](auto& disk) { disk.set_block_size(0); }},
             {"size is 0", [](auto& disk) { disk.set_size(0); }},
             {"over the limit", [](auto& disk) { disk.set_size(~std::uint64_t{0}); }},
             {"no multiple", [](auto& disk) { disk.set_size(disk.size() + 1); }},
             {"no generation", [](auto& disk) { disk.set_generation(0); }},
             {"has 65 members",
              [](auto& disk) {
                while (disk.members_size() < 65) {
                  disk.add_members()->set_node("m" + std::to_string(disk.members_size()));
                }
              }},
             {"member n1 twice", [](auto& disk) { disk.add_members()->set_node("n1"); }},
             {"node name is empty", [](auto& disk) { disk.add_members(); }},
             {"may hold only", [](auto& disk) { disk.add_members()->set_node("a/b"); }},
             {"the same place", [](auto& disk) { add_missing(disk, "n5", 8); }},
             {"since epoch 0", [](auto& disk) { disk.mutable_members(2)->set_since_epoch(0); }},
             {"since epoch 3, the disk's is 2",
              [](auto& disk) { disk.mutable_members(2)->set_since_epoch(3); }},
             {"host h1 twice", [](auto& disk) { disk.add_allowed_hosts("h1"); }},
             {"must start with", [](auto& disk) { disk.add_allowed_hosts("-h"); }},
             {"not one line", [](auto& disk) { disk.set_last_holder("h1\nh2"); }}});
}

TEST(RecordRules, let_a_disk_have_64_members) {
  pb::DiskRecord full = disk_record("vm", 64 * mib);
  while (full.members_size() < 64) {
    full.add_members()->set_node("m" + std::to_string(full.members_size()));
  }
  EXPECT_TRUE(check_record(full).ok());
}

TEST(RecordRules, refuse_a_lease_that_cannot_be) {
  pb::LeaseRecord good;
  good.set_holder("ukaictl@machine:1");
  good.set_epoch(1);
  expect_refused<pb::LeaseRecord>(
      good, {{"names no holder", [](auto& lease) { lease.clear_holder(); }},
             {"no epoch", [](auto& lease) { lease.set_epoch(0); }},
             {"unknown kind 9",
              [](auto& lease) { lease.set_kind(static_cast<pb::LeaseRecord::Kind>(9)); }},
             {"not one line", [](auto& lease) { lease.set_holder("h1\n"); }}});
}

TEST(RecordRules, refuse_a_node_or_host_that_cannot_be) {
  pb::NodeRecord node = node_record("n1");
  node.set_admin_state("draining");
  expect_refused<pb::NodeRecord>(
      node,
      {{"node name is empty", [](auto& record) { record.clear_id(); }},
       {"admin state 'asleep' is unknown", [](auto& record) { record.set_admin_state("asleep"); }},
       {"site", [](auto& record) { record.set_site("a\x1b[2J"); }},
       {"label", [](auto& record) { record.add_labels("a\nb"); }},
       {"5000 bytes", [](auto& record) { record.set_data_address(std::string(5000, 'a')); }}});
  pb::NodeAlive alive = node_alive(1);
  expect_refused<pb::NodeAlive>(alive,
                                {{"boot id", [](auto& record) { record.set_boot_id("a\nb"); }}});
  pb::HostRecord host = host_record("h1", 1);
  expect_refused<pb::HostRecord>(
      host, {{"host name is empty", [](auto& record) { record.clear_id(); }},
             {"may hold only", [](auto& record) { record.set_node_id("a/b"); }},
             {"control address", [](auto& record) { record.set_control_address("a\nb"); }}});
}

TEST(RecordRules, refuse_what_names_no_disk) {
  pb::NameRecord name;
  name.set_disk_id("00112233445566778899aabbccddeeff");
  expect_refused<pb::NameRecord>(name,
                                 {{"no disk id", [](auto& record) { record.clear_disk_id(); }}});
  pb::TrashRecord order;
  order.set_disk_id(name.disk_id());
  expect_refused<pb::TrashRecord>(order,
                                  {{"no disk id", [](auto& record) { record.set_disk_id("x"); }}});
  pb::ClusterRecord cluster;
  cluster.set_id(name.disk_id());
  expect_refused<pb::ClusterRecord>(
      cluster, {{"no cluster id", [](auto& record) { record.set_id("a\nb"); }}});
  pb::MapSegment segment;
  expect_refused<pb::MapSegment>(
      segment, {{"no disk can have", [](auto& record) { record.set_segment(1U << 16); }}});
}

}  // namespace
}  // namespace ukai::test
