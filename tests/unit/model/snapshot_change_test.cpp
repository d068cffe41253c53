// SPDX-License-Identifier: BSD-2-Clause
#include "ukai/snapshot_change.h"

#include <gtest/gtest.h>

#include "ukai/geometry.h"

namespace ukai {
namespace {

constexpr std::uint32_t block = 64 << 10;

pb::DiskRecord disk(std::uint64_t blocks = 4) {
  pb::DiskRecord record;
  record.set_id(std::string(32, '1'));
  record.set_name("vm");
  record.set_size(blocks * block);
  record.set_block_size(block);
  record.set_generation(1);
  for (const char* node : {"n1", "n2"}) record.add_members()->set_node(node);
  return record;
}

pb::Snapshot snapshot(const std::string& name, std::uint64_t generation) {
  pb::Snapshot out;
  out.set_name(name);
  out.set_generation(generation);
  out.set_size(4 * block);
  return out;
}

TEST(SnapshotChange, reserves_a_generation_once) {
  auto record = with_next_generation(disk(), Generation{1});
  EXPECT_EQ(record.generation(), 2U);
  EXPECT_EQ(with_next_generation(record, Generation{1}).generation(), 2U) << "as after a failure";
  EXPECT_EQ(with_next_generation(record, Generation{2}).generation(), 3U);
}

TEST(SnapshotChange, names_and_forgets_a_state) {
  auto record = with_snapshot(disk(), snapshot("s1", 1));
  ASSERT_TRUE(record.ok());
  EXPECT_TRUE(with_snapshot(*record, snapshot("s1", 2)).failed_with(Code::exists));
  EXPECT_TRUE(with_snapshot(*record, snapshot("a/b", 2)).failed_with(Code::invalid));
  EXPECT_TRUE(without_snapshot(*record, "s2").failed_with(Code::not_found));
  EXPECT_EQ(without_snapshot(*record, "s1")->snapshots_size(), 0);
}

TEST(SnapshotChange, goes_on_from_a_snapshot_under_a_number_of_its_own) {
  auto record = with_next_generation(*with_snapshot(disk(), snapshot("s1", 1)), Generation{1});
  auto rolled = rolled_back(record, "s1");
  ASSERT_TRUE(rolled.ok());
  EXPECT_EQ(rolled->generation(), 3U);
  ASSERT_EQ(rolled->branches_size(), 1);
  EXPECT_EQ(rolled->branches(0).parent(), 1U);
  EXPECT_TRUE(rolled_back(record, "s2").failed_with(Code::not_found));
}

TEST(SnapshotChange, orders_nothing_to_be_deleted_that_changes_go_to) {
  // Reserved, but not switched to: what the head sees must stay.
  auto record = with_next_generation(disk(), Generation{1});
  const auto order = order_to_delete_versions(record, Generation{1});
  EXPECT_EQ(kept_in(order.versions()), (std::vector{Generation{1}, Generation{2}}));
}

TEST(SnapshotChange, a_clone_lies_where_its_source_is_in_sync) {
  const auto source = disk();
  const auto map =
      make_map({4 * block, block}, {.nodes = {NodeId("n1"), NodeId("n2")}, .replicas = 2});
  pb::DiskRecord record;
  record.set_id(std::string(32, '2'));
  record.set_name("c");
  record.set_size(3 * block);
  auto made = clone_of(record, source, map, {NodeId("n1")});
  ASSERT_TRUE(made.ok()) << made.error().what;
  EXPECT_EQ(made->record.generation(), 2U) << "1 is hard links of what the source has";
  EXPECT_EQ(made->record.pending_replicas(), 3U) << "those on n2";
  const MapSegmentView view(made->segments.front());
  EXPECT_EQ(view.blocks().count(), 3U);
  EXPECT_EQ(view.locations(BlockIndex{0})[0].status, SyncStatus::in_sync);
  EXPECT_EQ(view.locations(BlockIndex{0})[1].status, SyncStatus::out_of_sync);
  EXPECT_TRUE(clone_of(record, source, map, {}).failed_with(Code::unreachable));
}

}  // namespace
}  // namespace ukai
