// SPDX-License-Identifier: BSD-2-Clause
#include "disk/writers.h"

#include <gtest/gtest.h>

namespace ukai {
namespace {

TEST(Writers, keep_the_lease_they_were_opened_with_until_they_are_closed) {
  Writers writers;
  const auto loop = writers.open(true);
  EXPECT_EQ(writers.keepers(), 1U);
  EXPECT_EQ(writers.busy(), 1U) << "it never locks anything, and is at work all the same";
  writers.close(*loop);
  EXPECT_EQ(writers.busy(), 0U);
  EXPECT_EQ(writers.count(), 0U);
}

TEST(Writers, are_in_nobodys_way_before_they_want_the_lease) {
  Writers writers;
  const auto destination = writers.open(false);
  EXPECT_EQ(writers.keepers(), 0U);
  EXPECT_EQ(writers.count(), 1U);
  Writers::lock(*destination, true);
  EXPECT_EQ(writers.keepers(), 1U);
  EXPECT_EQ(writers.busy(), 1U);
}

TEST(Writers, are_ready_for_a_hand_over_once_they_have_let_the_lock_go) {
  Writers writers;
  const auto qemu = writers.open(true);
  Writers::lock(*qemu, true);
  EXPECT_EQ(writers.busy(), 1U);
  Writers::lock(*qemu, false);
  EXPECT_EQ(writers.busy(), 0U);
  EXPECT_EQ(writers.keepers(), 1U) << "a host that only wants to open the disk does not get it";
  Writers::lock(*qemu, false);
  EXPECT_EQ(writers.busy(), 0U);
  Writers::lock(*qemu, true);  // the migration failed, and QEMU goes on
  EXPECT_EQ(writers.busy(), 1U);
}

TEST(Writers, are_not_ready_for_having_unlocked_what_they_never_held) {
  Writers writers;
  const auto fio = writers.open(true);
  Writers::lock(*fio, false);
  EXPECT_EQ(writers.busy(), 1U);
}

TEST(Writers, die_with_the_lease_they_had_and_not_with_one_they_wait_for) {
  Writers writers;
  const auto source = writers.open(true);
  const auto destination = writers.open(false);
  EXPECT_TRUE(writers.any_granted());
  writers.kill_granted();
  EXPECT_TRUE(source->dead);
  EXPECT_FALSE(destination->dead);
  EXPECT_FALSE(writers.any_granted());
  EXPECT_EQ(writers.count(), 1U);
  destination->granted = true;
  writers.kill_granted();
  EXPECT_TRUE(destination->dead);
  writers.close(*source);
  EXPECT_TRUE(source->closed);
}

// A guest that came, wrote nothing while the lease did not come, and went on to another host.
TEST(Writers, are_over_when_they_let_the_lock_go_before_they_had_the_lease) {
  Writers writers;
  const auto passing = writers.open(false);
  EXPECT_FALSE(Writers::is_over(*passing));
  Writers::lock(*passing, true);
  Writers::lock(*passing, false);
  EXPECT_TRUE(Writers::is_over(*passing));
  Writers::lock(*passing, true);
  EXPECT_FALSE(Writers::is_over(*passing));
  passing->granted = true;
  Writers::lock(*passing, false);
  EXPECT_FALSE(Writers::is_over(*passing));
}

TEST(Writers, hand_over_between_hosts_that_are_both_allowed) {
  const HostId one("h1");
  const HostId two("h2");
  pb::DiskRecord record;
  EXPECT_FALSE(may_hand_over(record, one, two)) << "anyone, but one at a time";
  record.add_allowed_hosts("h2");
  EXPECT_FALSE(may_hand_over(record, one, two));
  record.add_allowed_hosts("h1");
  EXPECT_TRUE(may_hand_over(record, one, two));
  EXPECT_FALSE(may_hand_over(record, one, HostId("h3")));
}

}  // namespace
}  // namespace ukai
