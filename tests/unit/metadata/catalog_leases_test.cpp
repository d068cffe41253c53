// SPDX-License-Identifier: BSD-2-Clause
#include <gmock/gmock.h>

#include "catalog_fixture.h"

namespace ukai::test {
namespace {

using namespace std::chrono_literals;
using testing::HasSubstr;

class CatalogLeases : public CatalogTest {
 protected:
  /// A change that leaves its mark in the record.
  Result<DiskEntry> mark(Process& process, const Lease& lease, const DiskEntry& entry,
                         const std::string& text) {
    pb::DiskRecord changed = entry.record;
    (*changed.mutable_meta())["mark"] = text;
    return run(process.catalog.update_disk(lease, entry, std::move(changed)));
  }
  std::string mark_of(DiskId id) {
    const auto record = record_of(id);
    auto found = record.meta().find("mark");
    return found == record.meta().end() ? "" : found->second;
  }

  DiskId disk = create("vm-1");
};

TEST_F(CatalogLeases, grant_a_larger_epoch_each_time) {
  for (std::uint64_t epoch = 1; epoch <= 3; ++epoch) {
    auto taken = take(a, disk, "h1");
    ASSERT_TRUE(taken.ok()) << taken.error().what;
    EXPECT_EQ(raw(taken->lease.epoch), epoch);
    EXPECT_EQ(taken->entry.record.epoch(), epoch);
    EXPECT_EQ(taken->entry.version, run(b.catalog.load_disk(disk))->version);
    EXPECT_EQ(taken->lease.session_id, a.coordination.session_id());
    EXPECT_EQ(record_of(disk).last_holder(), "h1");
    EXPECT_TRUE(*run(b.catalog.lease_stands(taken->lease)));
    ASSERT_TRUE(run(a.catalog.release_lease(taken->lease)).ok());
    EXPECT_FALSE(*run(b.catalog.lease_stands(taken->lease)));
    ASSERT_TRUE(run(a.catalog.release_lease(taken->lease)).ok()) << "gone already is no error";
  }
}

TEST_F(CatalogLeases, are_held_by_one_at_a_time_and_say_by_whom) {
  ASSERT_TRUE(take(a, disk, "h1").ok());
  auto second = take(b, disk, "h2");
  ASSERT_TRUE(second.failed_with(Code::busy));
  EXPECT_THAT(second.error().what, HasSubstr("disk \"vm-1\" has been held by \"h1\""));
  auto info = run(b.catalog.lease_of(disk));
  ASSERT_TRUE(info.ok() && *info);
  EXPECT_EQ((*info)->record.holder(), "h1");
}

TEST_F(CatalogLeases, go_to_one_of_two_that_ask_at_the_same_time) {
  for (int round = 0; round < 10; ++round) {
    std::vector<Task<Result<Catalog::Taken>>> both;
    both.push_back(a.catalog.take_lease(disk, "h1", pb::LeaseRecord::GUEST));
    both.push_back(b.catalog.take_lease(disk, "h2", pb::LeaseRecord::GUEST));
    auto taken = run(gather(std::move(both)));
    ASSERT_NE(taken[0].ok(), taken[1].ok());
    Process& winner = taken[0].ok() ? a : b;
    EXPECT_TRUE(taken[taken[0].ok() ? 1 : 0].failed_with(Code::busy));
    ASSERT_TRUE(run(winner.catalog.release_lease(taken[taken[0].ok() ? 0 : 1]->lease)).ok());
  }
}

TEST_F(CatalogLeases, say_not_found_for_a_disk_that_is_not_there) {
  EXPECT_TRUE(take(a, DiskId::random()).failed_with(Code::not_found));
}

// -- the check of the lease in every change

TEST_F(CatalogLeases, refuse_a_change_after_the_lease_was_released) {
  auto taken = take(a, disk);
  ASSERT_TRUE(run(a.catalog.release_lease(taken->lease)).ok());
  auto done = mark(a, taken->lease, taken->entry, "late");
  ASSERT_TRUE(done.failed_with(Code::stale));
  EXPECT_THAT(done.error().what, HasSubstr("lease on disk \"vm-1\" (epoch 1) has ended"));
  EXPECT_EQ(mark_of(disk), "");
}

TEST_F(CatalogLeases, refuse_a_change_when_somebody_else_holds_a_later_one) {
  // The later lease's znode has the same path and the same version 0 as the first one's.
  auto first = take(a, disk, "h1");
  a.coordination.expire_session();
  auto second = take(b, disk, "h2");
  ASSERT_TRUE(second.ok()) << second.error().what;
  EXPECT_TRUE(mark(a, first->lease, first->entry, "old record").failed_with(Code::stale));
  // Even with the newest record in hand: its epoch is not the lease's.
  EXPECT_TRUE(mark(a, first->lease, second->entry, "new record").failed_with(Code::stale));
  EXPECT_EQ(mark_of(disk), "");
  EXPECT_TRUE(mark(b, second->lease, second->entry, "mine").ok());
  EXPECT_EQ(mark_of(disk), "mine");
}

TEST_F(CatalogLeases, refuse_a_change_when_the_record_moved_on_under_the_same_lease) {
  auto taken = take(a, disk);
  ASSERT_TRUE(mark(a, taken->lease, taken->entry, "1").ok());
  auto late = mark(a, taken->lease, taken->entry, "2");
  ASSERT_TRUE(late.failed_with(Code::stale));
  EXPECT_TRUE(*run(a.catalog.lease_stands(taken->lease)));
  EXPECT_EQ(mark_of(disk), "1");
}

TEST_F(CatalogLeases, let_no_change_of_an_ended_session_apply_later) {
  auto taken = take(a, disk, "h1");
  pb::DiskRecord changed = taken->entry.record;
  (*changed.mutable_meta())["mark"] = "from the grave";

  // 1. It waits for a connection while the session ends and somebody else takes over.
  a.coordination.suspend();
  std::optional<Result<DiskEntry>> waiting;
  spawn_into<Result<DiskEntry>>(a.catalog.update_disk(taken->lease, taken->entry, changed),
                                [&](Result<DiskEntry> done) { waiting.emplace(std::move(done)); });
  a.coordination.expire_session();
  auto theirs = take(b, disk, "h2");
  ASSERT_TRUE(theirs.ok()) << theirs.error().what;
  ASSERT_TRUE(run(b.catalog.release_lease(theirs->lease)).ok());
  a.coordination.resume();
  scheduler.run_for(1min);
  ASSERT_TRUE(waiting.has_value());
  EXPECT_FALSE(waiting->ok());
  EXPECT_EQ(mark_of(disk), "");

  // 2. It hangs at a server that has stopped, and the session ends before the server goes on.
  taken = take(a, disk, "h1");
  ASSERT_TRUE(taken.ok()) << taken.error().what;
  changed = taken->entry.record;
  (*changed.mutable_meta())["mark"] = "from the grave";
  a.coordination.freeze();
  waiting.reset();
  spawn_into<Result<DiskEntry>>(a.catalog.update_disk(taken->lease, taken->entry, changed),
                                [&](Result<DiskEntry> done) { waiting.emplace(std::move(done)); });
  scheduler.run_for(1s);
  a.coordination.expire_session();
  scheduler.run_ready();
  a.coordination.thaw();
  scheduler.run_for(1min);
  ASSERT_TRUE(waiting.has_value());
  EXPECT_TRUE(waiting->failed_with(Code::stale));
  EXPECT_EQ(mark_of(disk), "");
}

TEST_F(CatalogLeases, are_not_released_on_behalf_of_somebody_else) {
  auto first = take(a, disk, "h1");
  a.coordination.expire_session();
  auto second = take(b, disk, "h2");
  ASSERT_TRUE(run(a.catalog.release_lease(first->lease)).ok());
  EXPECT_TRUE(*run(b.catalog.lease_stands(second->lease)));
}

TEST_F(CatalogLeases, release_while_the_record_changes_all_the_time) {
  auto taken = take(a, disk);
  int changes = 0;
  a.coordination.set_change_fault([&](const std::vector<Op>& ops) {
    // Before the first two attempts somebody (the same holder) changes the record.
    if (ops.front().kind == Op::Kind::check && changes++ < 2) return ChangeFault::lose_request;
    return ChangeFault::none;
  });
  ASSERT_TRUE(run(a.catalog.release_lease(taken->lease)).ok());
  EXPECT_FALSE(*run(b.catalog.lease_stands(taken->lease)));
}

TEST_F(CatalogLeases, break_only_the_one_that_was_looked_at) {
  auto first = take(a, disk, "h1");
  const auto seen = (*run(b.catalog.lease_of(disk)))->stat.created_zxid;
  ASSERT_TRUE(run(a.catalog.release_lease(first->lease)).ok());
  auto second = take(a, disk, "h1");
  EXPECT_TRUE(run(b.catalog.break_lease(disk, seen)).failed_with(Code::stale));
  EXPECT_TRUE(*run(b.catalog.lease_stands(second->lease)));
  const auto now = (*run(b.catalog.lease_of(disk)))->stat.created_zxid;
  ASSERT_TRUE(run(b.catalog.break_lease(disk, now)).ok());
  EXPECT_FALSE(*run(b.catalog.lease_stands(second->lease)));
  ASSERT_TRUE(run(b.catalog.break_lease(disk, now)).ok()) << "gone already is no error";
  EXPECT_TRUE(mark(a, second->lease, second->entry, "late").failed_with(Code::stale));
}

}  // namespace
}  // namespace ukai::test
