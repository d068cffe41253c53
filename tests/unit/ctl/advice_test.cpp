// SPDX-License-Identifier: BSD-2-Clause
#include "ctl/advice.h"

#include <gmock/gmock.h>

namespace ukai::ctl {
namespace {

using testing::HasSubstr;
using testing::IsEmpty;
using testing::SizeIs;

constexpr std::uint64_t block_size = 4096;

NodeInfo node(const std::string& id, const std::string& site, std::uint64_t free_blocks = 500) {
  NodeInfo info;
  info.record.set_id(id);
  info.record.set_site(site);
  info.record.set_capacity_bytes(1000 * block_size);
  info.alive.emplace();
  info.alive->set_free_bytes(free_blocks * block_size);
  return info;
}

pb::RangeCount reads(std::uint32_t range, std::uint64_t count) {
  pb::RangeCount out;
  out.set_range(range);
  out.set_reads(count);
  return out;
}

MapRow row(std::uint64_t begin, std::uint64_t end, std::vector<Replicas> cycle) {
  return {{BlockIndex{begin}, BlockIndex{end}}, std::move(cycle)};
}

const Replicas tokyo_and_osaka{{"n1", 'Y'}, {"n3", 'Y'}};
const Replicas tokyo_twice{{"n1", 'Y'}, {"n2", 'Y'}};

/// A disk of eight blocks with two replicas at the two sites, and a host at each.
DiskFacts facts() {
  DiskFacts out;
  out.name = "vm-1";
  out.blocks = 8;
  out.block_size_bytes = block_size;
  out.rows = {row(0, 8, {tokyo_and_osaka})};
  out.nodes = {node("n1", "jp/tokyo/dc1"), node("n2", "jp/tokyo/dc1"), node("n3", "jp/osaka")};
  out.heats = {{"h1", "jp/tokyo/dc1", true, 2, {}}, {"h2", "jp/osaka", true, 2, {}}};
  return out;
}

TEST(Advice, is_none_for_a_disk_that_is_well_placed) {
  DiskFacts fine = facts();
  fine.heats[0].ranges = {reads(0, 5000)};
  fine.heats[1].ranges = {reads(1, 5000)};
  EXPECT_THAT(advise(fine), IsEmpty());
  EXPECT_EQ(advice_text(fine, {}), "nothing to propose for disk vm-1\n");
}

// -- distance

TEST(Advice, is_a_replica_where_blocks_are_read_from_afar) {
  DiskFacts used = facts();
  used.rows = {row(0, 8, {tokyo_twice})};
  used.nodes.push_back(node("n4", "jp/osaka", 600));
  used.heats[1].ranges = {reads(1, 300), reads(2, 100)};
  HostAnswer h2;
  h2.record.set_id("h2");
  h2.reply = pb::HostStatusReply();
  auto* link = h2.reply->add_nodes();
  link->set_node("n1");
  link->set_connected(true);
  link->set_latency_us(10'000);
  used.hosts = {h2};
  const auto advices = advise(used);
  ASSERT_THAT(advices, SizeIs(2));
  EXPECT_EQ(advices[0].concern, Concern::distance);
  EXPECT_EQ(advices[0].what,
            "100% of what host h2 (jp/osaka) reads is in blocks 2-5, nearest on node n1, 10.00 ms "
            "away");
  EXPECT_EQ(advices[0].command, "ukaictl replicate vm-1 --to n4 --blocks 2-5");
  EXPECT_EQ(advices[1].concern, Concern::safety);
}

TEST(Advice, is_of_stretches_and_not_of_what_lies_between) {
  DiskFacts used = facts();
  used.rows = {row(0, 8, {{{"n1", 'Y'}}})};
  used.heats[1].ranges = {reads(0, 300), reads(1, 0), reads(3, 200)};
  std::vector<std::string> commands;
  for (const Advice& advice : advise(used)) {
    if (advice.concern == Concern::distance) commands.push_back(advice.command);
  }
  EXPECT_THAT(commands, testing::ElementsAre("ukaictl replicate vm-1 --to n3 --blocks 0-1",
                                             "ukaictl replicate vm-1 --to n3 --blocks 6-7"));
}

TEST(Advice, is_not_for_writes_or_few_reads_or_what_no_node_is_nearer_to) {
  DiskFacts used = facts();
  used.rows = {row(0, 8, {tokyo_twice})};
  const auto distant = [&] {
    const auto advices = advise(used);
    return std::count_if(advices.begin(), advices.end(),
                         [](const Advice& one) { return one.concern == Concern::distance; });
  };
  pb::RangeCount writes;
  writes.set_writes(100'000);
  used.heats[1].ranges = {writes};
  EXPECT_EQ(distant(), 0) << "a replica nearby makes no write faster";
  used.heats[1].ranges = {reads(0, 20)};
  EXPECT_EQ(distant(), 0);
  used.heats[1].ranges = {reads(0, 1000)};
  EXPECT_EQ(distant(), 1);
  used.heats[1].site = "jp/nagoya";
  EXPECT_EQ(distant(), 0) << "all are as far";
  used.heats[1].site = "jp/tokyo/dc2";
  EXPECT_EQ(distant(), 0) << "what is in tokyo is the nearest there is";
}

// -- safety

TEST(Advice, is_a_copy_at_another_site_when_all_are_at_one) {
  DiskFacts near = facts();
  near.rows = {row(0, 4, {tokyo_and_osaka}), row(4, 8, {tokyo_twice})};
  const auto advices = advise(near);
  ASSERT_THAT(advices, SizeIs(1));
  EXPECT_EQ(advices[0].what,
            "all replicas of blocks 4-7 are at site jp/tokyo/dc1; a copy at "
            "another would survive its loss");
  EXPECT_EQ(advices[0].command, "ukaictl replicate vm-1 --to n3 --blocks 4-7");
}

TEST(Advice, counts_replicas_in_sync_and_not_nodes_that_are_named) {
  DiskFacts behind = facts();
  behind.rows = {row(0, 8, {{{"n1", 'Y'}, {"n3", 'N'}}})};
  const auto advices = advise(behind);
  ASSERT_THAT(advices, SizeIs(1));
  EXPECT_THAT(advices[0].what, HasSubstr("blocks 0-7 have one replica in sync"));
  EXPECT_EQ(advices[0].command, "ukaictl replicate vm-1 --to n2");
}

TEST(Advice, offers_no_copy_of_what_is_nowhere) {
  DiskFacts lost = facts();
  lost.rows = {row(0, 8, {{{"n1", 'N'}}})};
  const auto advices = advise(lost);
  ASSERT_THAT(advices, SizeIs(1));
  EXPECT_THAT(advices[0].what, HasSubstr("no replica in sync"));
  EXPECT_EQ(advices[0].command, "");
}

TEST(Advice, is_the_weakest_first) {
  DiskFacts mixed = facts();
  mixed.rows = {row(0, 6, {tokyo_twice}), row(6, 8, {{{"n1", 'Y'}}})};
  const auto advices = advise(mixed);
  ASSERT_THAT(advices, SizeIs(2));
  EXPECT_THAT(advices[0].what, HasSubstr("blocks 6-7 have one replica"));
  EXPECT_THAT(advices[1].what, HasSubstr("all replicas of blocks 0-5"));
}

// -- nodes

TEST(Advice, names_nodes_that_are_in_a_bad_way_and_where_to_go) {
  DiskFacts bad = facts();
  bad.nodes[0] = node("n1", "jp/tokyo/dc1", 50);
  bad.nodes[2].record.set_admin_state("draining");
  const auto advices = advise(bad);
  ASSERT_THAT(advices, SizeIs(2));
  EXPECT_THAT(advices[0].what, HasSubstr("node n1 is nearly full"));
  EXPECT_EQ(advices[0].command, "ukaictl relocate vm-1 --from n1 --to n2");
  EXPECT_EQ(advices[1].what, "node n3 is being drained");
  EXPECT_EQ(advices[1].command, "ukaictl node drain n3 --to n2");
}

TEST(Advice, sends_nothing_to_a_node_that_is_full_drained_or_down) {
  DiskFacts bad = facts();
  bad.rows = {row(0, 8, {{{"n1", 'Y'}}})};
  bad.nodes[1] = node("n2", "jp/tokyo/dc1", 105);  // a tenth would not be free any more
  bad.nodes[2].alive.reset();
  const auto advices = advise(bad);
  ASSERT_THAT(advices, SizeIs(1));
  EXPECT_EQ(advices[0].command, "");
}

TEST(Advice, says_of_which_hosts_nothing_is_known) {
  DiskFacts unknown = facts();
  unknown.heats[0].answered = false;
  EXPECT_EQ(advice_text(unknown, {}),
            "nothing to propose for disk vm-1\n"
            "(no host has it open: nothing is known of who uses which blocks)\n"
            "(no answer from h1: what it uses is not known)\n");
  EXPECT_THAT(advice_json(unknown, {}), HasSubstr("\"silent_hosts\": [\n    \"h1\""));
}

}  // namespace
}  // namespace ukai::ctl
