// SPDX-License-Identifier: BSD-2-Clause
#include "ukai/location_change.h"

#include <gtest/gtest.h>

#include <random>

#include "ukai/disk_change.h"

namespace ukai {
namespace {

constexpr std::uint32_t block_bytes = 4U << 20;
constexpr std::uint64_t block_count = 12;
const Geometry geometry{block_count * block_bytes, block_bytes};

pb::DiskRecord disk(const std::vector<std::string>& nodes) {
  pb::DiskRecord record;
  record.set_name("vm-1");
  record.set_block_size(block_bytes);
  record.set_size(geometry.size_bytes);
  for (const std::string& node : nodes) record.add_members()->set_node(node);
  return record;
}

void lose(pb::DiskRecord& record, int index, std::uint64_t sequence) {
  record.mutable_members(index)->set_missing(true);
  record.mutable_members(index)->set_since_epoch(1);
  record.mutable_members(index)->set_since_sequence(sequence);
}

std::vector<NodeId> ids(const std::vector<std::string>& nodes) {
  std::vector<NodeId> out;
  for (const std::string& node : nodes) out.emplace_back(node);
  return out;
}

std::vector<pb::MapSegment> map(const std::vector<std::string>& nodes, bool stripe = false) {
  Placement placement;
  placement.nodes = ids(nodes);
  placement.stripe = stripe;
  return make_map(geometry, *check_placement(placement));
}

BlockRange blocks(std::uint64_t begin, std::uint64_t end) {
  return {BlockIndex{begin}, BlockIndex{end}};
}
const BlockRange all = blocks(0, block_count);

/// "n1 n2(2)": locations with their status, where it is not in-sync.
std::string at(const pb::MapSegment& segment, std::uint64_t block) {
  std::string out;
  const MapSegmentView view(segment);
  for (const Location& location : view.locations(BlockIndex{block})) {
    out += (out.empty() ? "" : " ") + location.node.str();
    if (location.status != SyncStatus::in_sync)
      out += "(" + std::to_string(static_cast<int>(location.status)) + ")";
  }
  return out;
}

TEST(AddLocations, are_out_of_sync_on_a_new_member) {
  const auto added =
      add_locations(disk({"n1"}), map({"n1"}), {ids({"n2", "n3"}), blocks(2, 4), {}});
  ASSERT_TRUE(added.ok());
  EXPECT_EQ(added->replicas, 4U);
  EXPECT_EQ(added->record.pending_replicas(), 4U);
  ASSERT_EQ(added->segments.size(), 1U);
  EXPECT_TRUE(check_segment(added->segments[0], geometry).ok());
  EXPECT_EQ(at(added->segments[0], 1), "n1");
  EXPECT_EQ(at(added->segments[0], 2), "n1 n2(2) n3(2)");
  EXPECT_EQ(at(added->segments[0], 3), "n1 n2(2) n3(2)");
  EXPECT_EQ(at(added->segments[0], 4), "n1");
  ASSERT_EQ(added->record.members_size(), 3);
  EXPECT_EQ(added->record.members(2).node(), "n3");
}

TEST(AddLocations, that_are_there_change_nothing) {
  const auto added = add_locations(disk({"n1", "n2"}), map({"n1", "n2"}), {ids({"n2"}), all, {}});
  ASSERT_TRUE(added.ok());
  EXPECT_EQ(added->replicas, 0U);
  EXPECT_TRUE(added->segments.empty());
}

TEST(AddLocations, of_a_striped_disk_keep_it_one_run) {
  const auto added =
      add_locations(disk({"n1", "n2"}), map({"n1", "n2"}, true), {ids({"n3"}), all, {}});
  ASSERT_TRUE(added.ok());
  EXPECT_EQ(added->segments[0].runs_size(), 1);
  EXPECT_EQ(at(added->segments[0], 5), "n2 n3(2)");
  const auto back = remove_locations(added->record, added->segments, {ids({"n3"}), all, {}});
  EXPECT_EQ(back->segments[0].SerializeAsString(), map({"n1", "n2"}, true)[0].SerializeAsString());
}

TEST(AddLocations, have_a_limit) {
  std::vector<std::string> many;
  for (int i = 0; i < 9; ++i) many.push_back("m" + std::to_string(i));
  EXPECT_TRUE(
      add_locations(disk({"n1"}), map({"n1"}), {ids(many), all, {}}).failed_with(Code::invalid));
}

TEST(AddLocations, where_another_node_has_one) {
  const auto added =
      add_locations(disk({"n1", "n2"}), map({"n1", "n2"}, true), {ids({"n3"}), all, NodeId("n2")});
  ASSERT_TRUE(added.ok());
  EXPECT_EQ(added->replicas, block_count / 2);
  EXPECT_EQ(at(added->segments[0], 0), "n1");
  EXPECT_EQ(at(added->segments[0], 1), "n2 n3(2)");
}

TEST(RemoveLocations, leave_the_others_and_a_gone_member) {
  const auto left = remove_locations(disk({"n1", "n2"}), map({"n1", "n2"}), {ids({"n1"}), all, {}});
  ASSERT_TRUE(left.ok());
  EXPECT_EQ(left->replicas, block_count);
  EXPECT_EQ(at(left->segments[0], 3), "n2");
  ASSERT_EQ(left->record.members_size(), 2);  // its place is kept under this epoch
  EXPECT_TRUE(left->record.members(0).gone());
  const pb::DiskRecord later = without_gone(left->record);
  ASSERT_EQ(later.members_size(), 1);
  EXPECT_EQ(later.members(0).node(), "n2");
  ASSERT_EQ(left->taken_off.size(), 1U);
  ASSERT_EQ(left->taken_off.at(NodeId("n1")).size(), 1U);
  EXPECT_EQ(left->taken_off.at(NodeId("n1"))[0].count(), block_count);
}

TEST(RemoveLocations, of_some_blocks_keep_the_member) {
  const auto left =
      remove_locations(disk({"n1", "n2"}), map({"n1", "n2"}), {ids({"n1"}), blocks(0, 5), {}});
  ASSERT_TRUE(left.ok());
  EXPECT_EQ(at(left->segments[0], 4), "n2");
  EXPECT_EQ(at(left->segments[0], 5), "n1 n2");
  EXPECT_FALSE(left->record.members(0).gone());
}

TEST(RemoveLocations, never_take_the_last_one_in_sync) {
  const auto last = remove_locations(disk({"n1"}), map({"n1"}), {ids({"n1"}), all, {}});
  ASSERT_TRUE(last.failed_with(Code::refused));
  EXPECT_EQ(last.error().what, "disk vm-1: block 0 has no other replica in sync than that on n1");
  // One that is being copied to is none.
  auto added = add_locations(disk({"n1"}), map({"n1"}), {ids({"n2"}), all, {}});
  EXPECT_TRUE(remove_locations(added->record, added->segments, {ids({"n1"}), all, {}})
                  .failed_with(Code::refused));
  // Nor is one that missed writes.
  pb::DiskRecord record = disk({"n1", "n2"});
  lose(record, 1, 7);
  EXPECT_TRUE(remove_locations(record, map({"n1", "n2"}), {ids({"n1"}), all, {}})
                  .failed_with(Code::refused));
  // But the missing one may go; and so may what missed more than the one that went last.
  EXPECT_TRUE(remove_locations(record, map({"n1", "n2"}), {ids({"n2"}), all, {}}).ok());
  lose(record, 0, 9);
  EXPECT_TRUE(remove_locations(record, map({"n1", "n2"}), {ids({"n2"}), all, {}}).ok());
  EXPECT_TRUE(remove_locations(record, map({"n1", "n2"}), {ids({"n1"}), all, {}})
                  .failed_with(Code::refused));
}

TEST(RemoveLocations, that_are_not_there_are_no_error) {
  const auto left = remove_locations(disk({"n1"}), map({"n1"}), {ids({"n9"}), all, {}});
  ASSERT_TRUE(left.ok());
  EXPECT_EQ(left->replicas, 0U);
}

TEST(RemoveLocations, take_the_log_of_what_others_missed_with_them) {
  pb::DiskRecord record = disk({"n1", "n2", "n3"});
  lose(record, 2, 7);
  const auto left =
      remove_locations(record, map({"n1", "n2", "n3"}), {ids({"n1"}), blocks(0, 2), {}});
  ASSERT_TRUE(left.ok());
  EXPECT_EQ(at(left->segments[0], 0), "n2 n3(1)");
  EXPECT_EQ(at(left->segments[0], 2), "n1 n2 n3");
}

TEST(SetStatus, is_for_those_replicas_alone) {
  auto added = add_locations(disk({"n1"}), map({"n1"}), {ids({"n2", "n3"}), all, {}});
  const std::vector<BlockReplica> some = {{BlockIndex{1}, NodeId("n2")},
                                          {BlockIndex{1}, NodeId("n3")},
                                          {BlockIndex{2}, NodeId("n2")},
                                          {BlockIndex{3}, NodeId("n9")}};
  const auto set = set_status(added->record, added->segments, some, SyncStatus::in_sync);
  EXPECT_EQ(set.replicas, 3U);
  EXPECT_EQ(set.record.pending_replicas(), 2 * block_count - 3);
  ASSERT_EQ(set.segments.size(), 1U);
  EXPECT_EQ(at(set.segments[0], 0), "n1 n2(2) n3(2)");
  EXPECT_EQ(at(set.segments[0], 1), "n1 n2 n3");
  EXPECT_EQ(at(set.segments[0], 2), "n1 n2 n3(2)");
  EXPECT_EQ(at(set.segments[0], 3), "n1 n2(2) n3(2)");
}

TEST(LocationChange, is_what_a_plain_model_says) {
  std::mt19937 dice(7);  // NOLINT(cert-msc32-c,cert-msc51-cpp): the same every time
  const auto below = [&](std::size_t n) {
    return std::uniform_int_distribution<std::size_t>(0, n - 1)(dice);
  };
  for (int round = 0; round < 200; ++round) {
    const bool stripe = below(2) == 0;
    pb::DiskRecord record = disk({"n1", "n2"});
    auto segments = map({"n1", "n2"}, stripe);
    std::vector<std::string> model;
    for (std::uint64_t i = 0; i < block_count; ++i) model.push_back(at(segments[0], i));
    for (int step = 0; step < 10; ++step) {
      const std::string node = "n" + std::to_string(3 + below(2));
      const std::uint64_t begin = below(block_count);
      const std::uint64_t end = begin + 1 + below(block_count - begin);
      const bool add = below(2) == 0;
      auto changed =
          add ? add_locations(record, segments, {ids({node}), blocks(begin, end), {}})
              : remove_locations(record, segments, {ids({node}), blocks(begin, end), {}});
      ASSERT_TRUE(changed.ok()) << changed.error().what;
      for (std::uint64_t i = begin; i < end; ++i) {
        const std::string entry = " " + node + "(2)";
        const auto found = model[i].find(entry);
        if (add && found == std::string::npos) model[i] += entry;
        if (!add && found != std::string::npos) model[i].erase(found, entry.size());
      }
      record = changed->record;
      if (!changed->segments.empty()) segments = changed->segments;
      ASSERT_TRUE(check_segment(segments[0], geometry).ok());
      for (std::uint64_t i = 0; i < block_count; ++i) ASSERT_EQ(at(segments[0], i), model[i]);
    }
  }
}

TEST(CutOff, keeps_the_map_of_what_stays_and_names_what_goes) {
  pb::DiskRecord record = disk({"n1", "n2", "n3"});
  lose(record, 1, 1);
  const auto segments = map({"n1", "n2", "n3"}, true);
  auto cut = cut_off(record, segments, 7 * block_bytes);
  ASSERT_TRUE(cut.ok()) << cut.error().what;
  EXPECT_EQ(cut->record.size(), 7U * block_bytes);
  EXPECT_TRUE(cut->record.members(1).missing());
  ASSERT_EQ(cut->segments.size(), 1U);
  const Geometry smaller{7 * block_bytes, block_bytes};
  EXPECT_TRUE(check_segment(cut->segments[0], smaller).ok());
  for (std::uint64_t block = 0; block < 7; ++block) {
    EXPECT_EQ(at(cut->segments[0], block), at(segments[0], block)) << block;
  }
  ASSERT_EQ(cut->taken_off.size(), 3U);  // also what a node has by mistake, or missed to delete
  for (const auto& [node, ranges] : cut->taken_off) {
    ASSERT_EQ(ranges.size(), 1U) << node.str();
    EXPECT_EQ(raw(ranges[0].begin), 7U);
    EXPECT_EQ(raw(ranges[0].end), 12U);
  }
}

TEST(CutOff, lets_members_go_that_have_nothing_left) {
  auto cut = cut_off(disk({"n1", "n2", "n3"}), map({"n1", "n2", "n3"}, true), 2 * block_bytes);
  ASSERT_TRUE(cut.ok());
  EXPECT_FALSE(cut->record.members(1).gone());
  EXPECT_TRUE(cut->record.members(2).gone());
  EXPECT_EQ(cut->taken_off.size(), 3U);
}

TEST(CutOff, counts_no_replica_that_is_cut_off) {
  pb::DiskRecord record = disk({"n1"});
  auto added = add_locations(record, map({"n1"}), {ids({"n2"}), all, NodeId()});
  ASSERT_TRUE(added.ok());
  EXPECT_EQ(added->record.pending_replicas(), block_count);
  auto cut = cut_off(added->record, added->segments, 5 * block_bytes);
  ASSERT_TRUE(cut.ok());
  EXPECT_EQ(cut->record.pending_replicas(), 5U);
}

TEST(CutOff, forgets_whole_segments) {
  const std::uint64_t many = 2 * limits::segment_blocks + 5;
  const Geometry large{many * block_bytes, block_bytes};
  pb::DiskRecord record = disk({"n1", "n2"});
  record.set_size(large.size_bytes);
  Placement placement;
  placement.nodes = ids({"n1", "n2"});
  auto cut = cut_off(record, make_map(large, *check_placement(placement)),
                     limits::segment_blocks * block_bytes);
  ASSERT_TRUE(cut.ok());
  ASSERT_EQ(cut->segments.size(), 1U);
  EXPECT_EQ(cut->segments[0].segment(), 0U);
  const Geometry smaller{limits::segment_blocks * block_bytes, block_bytes};
  EXPECT_TRUE(check_segment(cut->segments[0], smaller).ok());
  ASSERT_EQ(cut->taken_off[NodeId("n1")].size(), 1U);
  EXPECT_EQ(raw(cut->taken_off[NodeId("n1")][0].begin), limits::segment_blocks);
  EXPECT_EQ(raw(cut->taken_off[NodeId("n1")][0].end), many);
}

TEST(CutOff, refuses_what_is_no_smaller_size) {
  const auto segments = map({"n1"});
  EXPECT_TRUE(cut_off(disk({"n1"}), segments, 12 * block_bytes).failed_with(Code::invalid));
  EXPECT_TRUE(cut_off(disk({"n1"}), segments, 0).failed_with(Code::invalid));
  EXPECT_TRUE(cut_off(disk({"n1"}), segments, 3 * block_bytes + 1).failed_with(Code::invalid));
  pb::DiskRecord record = disk({"n1"});
  record.add_snapshots()->set_size(6 * block_bytes);
  EXPECT_TRUE(cut_off(record, segments, 5 * block_bytes).failed_with(Code::refused));
  EXPECT_TRUE(cut_off(record, segments, 6 * block_bytes).ok());
}

}  // namespace
}  // namespace ukai
