// SPDX-License-Identifier: BSD-2-Clause
#include "fuse/lock_table.h"

#include <gtest/gtest.h>

namespace ukai::fuse {
namespace {

using Outcome = LockTable::Outcome;

FileLock shared(std::uint64_t owner, std::uint64_t begin, std::uint64_t end) {
  FileLock lock;
  lock.owner = lock.handle = owner;
  lock.begin = begin;
  lock.end = end;
  return lock;
}

FileLock exclusive(std::uint64_t owner, std::uint64_t begin, std::uint64_t end) {
  FileLock lock = shared(owner, begin, end);
  lock.exclusive = true;
  return lock;
}

TEST(LockTable, lets_shared_locks_overlap_and_exclusive_ones_not) {
  LockTable locks;
  EXPECT_EQ(locks.set(shared(1, 100, 102)), Outcome::done);
  EXPECT_EQ(locks.set(shared(2, 101, 102)), Outcome::done);
  EXPECT_EQ(locks.set(exclusive(3, 101, 102)), Outcome::conflict);
  EXPECT_EQ(locks.set(exclusive(3, 102, 103)), Outcome::done);
  EXPECT_EQ(locks.set(shared(1, 0, FileLock::to_the_end)), Outcome::conflict);
  EXPECT_EQ(locks.count(), 3U);
}

TEST(LockTable, names_the_lock_in_the_way_and_none_of_the_same_owner) {
  LockTable locks;
  FileLock theirs = shared(1, 201, 202);
  theirs.pid = 77;
  locks.set(theirs);
  const auto found = locks.conflict(exclusive(2, 200, 203));
  ASSERT_TRUE(found);
  EXPECT_EQ(found->pid, 77);
  EXPECT_EQ(found->begin, 201U);
  EXPECT_FALSE(locks.conflict(shared(2, 201, 202)));
  EXPECT_FALSE(locks.conflict(exclusive(1, 201, 202))) << "its own lock stands in nobody's way";
}

TEST(LockTable, replaces_what_a_new_lock_of_its_owner_covers) {
  LockTable locks;
  locks.set(exclusive(1, 0, 100));
  locks.set(shared(1, 40, 60));
  EXPECT_EQ(locks.count(), 3U);
  EXPECT_FALSE(locks.conflict(shared(2, 40, 60)));
  EXPECT_TRUE(locks.conflict(shared(2, 39, 40)));
  EXPECT_TRUE(locks.conflict(shared(2, 60, 61)));
  locks.set(shared(1, 0, 100));
  EXPECT_EQ(locks.count(), 1U);
}

TEST(LockTable, unlocks_what_is_in_the_range_alone) {
  LockTable locks;
  locks.set(shared(1, 100, 104));
  locks.set(shared(2, 100, 104));
  locks.unlock(shared(1, 101, 102));
  EXPECT_EQ(locks.holders(100), (std::set<std::uint64_t>{1, 2}));
  EXPECT_EQ(locks.holders(101), (std::set<std::uint64_t>{2}));
  EXPECT_EQ(locks.holders(102), (std::set<std::uint64_t>{1, 2}));
  locks.unlock(shared(2, 0, FileLock::to_the_end));
  EXPECT_EQ(locks.holders(103), (std::set<std::uint64_t>{1}));
}

// An OFD lock ends with the RELEASE of its handle; the FLUSHes of that handle have another owner.
TEST(LockTable, drops_a_handles_locks_and_an_owners) {
  LockTable locks;
  FileLock of_process = shared(50, 0, 1);  // a process may lock through several handles
  of_process.handle = 1;
  locks.set(of_process);
  of_process.handle = 2;
  of_process.begin = 1;
  of_process.end = 2;
  locks.set(of_process);
  locks.set(shared(2, 101, 102));
  locks.drop_owner(50);
  EXPECT_EQ(locks.count(), 1U);
  locks.drop_owner(50);
  EXPECT_EQ(locks.holders(101), (std::set<std::uint64_t>{2}));
  locks.drop_handle(2);
  EXPECT_EQ(locks.count(), 0U);
}

TEST(LockTable, is_bounded) {
  LockTable locks;
  for (std::size_t i = 0; i < LockTable::locks_max; ++i) {
    EXPECT_EQ(locks.set(shared(1, 2 * i, 2 * i + 1)), Outcome::done);
  }
  EXPECT_EQ(locks.set(shared(2, 0, 1)), Outcome::full);
}

}  // namespace
}  // namespace ukai::fuse
