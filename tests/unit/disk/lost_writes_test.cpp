// SPDX-License-Identifier: BSD-2-Clause
#include "disk/lost_writes.h"

#include <gtest/gtest.h>

#include "attached_fixture.h"
#include "ukai/members.h"

namespace ukai {
namespace {

class LostWritesTest : public test::AttachedFixture {
 protected:
  LostWritesTest() {
    auto loading = core_.map.load(BlockIndex{0}, core_.geometry());
    EXPECT_TRUE(scheduler.run(std::move(loading)).ok());
  }
  void set_missing(std::size_t index, std::uint64_t sequence) {
    auto record = with_missing(core_.entry.record, core_.replicas[index]->node, core_.lease.epoch,
                               Sequence{sequence}, "test");
    take_record(std::move(record));
  }
  void set_present(std::size_t index) {
    take_record(with_present(core_.entry.record, core_.replicas[index]->node));
  }

  LostWrites lost_{core_};

 private:
  void take_record(pb::DiskRecord record) {
    core_.entry.record = std::move(record);
    core_.members = MemberTable(core_.entry.record);
  }
};

TEST_F(LostWritesTest, loses_nothing_while_another_member_has_it) {
  core_.replicas[0]->lost_writes = true;
  EXPECT_FALSE(lost_.take());
  EXPECT_FALSE(core_.replicas[0]->lost_writes);
}

TEST_F(LostWritesTest, tells_once_when_all_machines_crashed) {
  core_.replicas[0]->lost_writes = true;
  core_.replicas[1]->lost_writes = true;
  EXPECT_TRUE(lost_.take());
  EXPECT_FALSE(lost_.take());
}

TEST_F(LostWritesTest, tells_when_the_other_was_missing) {
  set_missing(1, 5);
  core_.replicas[0]->lost_writes = true;
  EXPECT_TRUE(lost_.take());
}

TEST_F(LostWritesTest, does_not_count_a_member_that_was_healed_from_the_crashed_machine) {
  set_missing(1, 5);
  core_.replicas[0]->lost_writes = true;
  lost_.settle();
  set_present(1);
  EXPECT_TRUE(lost_.take());
}

TEST_F(LostWritesTest, outlives_the_grant) {
  core_.replicas[0]->changes_acked = 3;
  core_.replicas[0]->changes_flushed = 3;
  core_.replicas[1]->changes_acked = 4;
  core_.replicas[1]->boot_id = "first";
  core_.writes_lost = true;
  const Owed owed = core_.owed();
  EXPECT_TRUE(owed.writes_lost);
  EXPECT_FALSE(owed.nodes.at(NodeId("n1")).unflushed);
  EXPECT_TRUE(owed.nodes.at(NodeId("n2")).unflushed);
  EXPECT_EQ(owed.nodes.at(NodeId("n2")).boot_id, "first");

  const Catalog::Taken next{core_.lease, core_.entry};
  DiskCore after(core_.services, core_.options, next, owed);
  EXPECT_TRUE(after.writes_lost);
  EXPECT_EQ(after.replicas[1]->boot_id, "first");
  EXPECT_GT(after.replicas[1]->changes_acked, after.replicas[1]->changes_flushed);
  EXPECT_FALSE(after.replicas[1]->fenced);
  // Nothing has been loaded under this grant, but the map of what was changed is known.
  after.replicas[0]->lost_writes = true;
  after.replicas[1]->lost_writes = true;
  after.writes_lost = false;
  EXPECT_TRUE(LostWrites(after).take());
}

}  // namespace
}  // namespace ukai
