// SPDX-License-Identifier: BSD-2-Clause
#include <gmock/gmock.h>

#include "unit/ctl/ctl_fixture.h"

namespace ukai::ctl {
namespace {

using ::testing::HasSubstr;

/// n1 was in sync when it died; n2 missed writes and is all that is left of vm-1.
class Recovery : public CtlTest {
 protected:
  Recovery() {
    add_down_node("n1");
    add_node("n2");
    done("disk create vm-1 --size 8M --location n1,n2 --force");
    lose_members("vm-1", {"n2"});
  }
  const std::string recover_ = "disk recover vm-1 --from n2";
};

TEST_F(Recovery, of_a_stale_replica_needs_the_operators_word) {
  fails(recover_, 8,
        "disk vm-1: all that was written to 2 blocks since 2025-11-22T19:00:00Z may be lost; "
        "--accept-loss if so be it");
  EXPECT_TRUE(disk("vm-1").record.members(1).missing());
}

TEST_F(Recovery, makes_the_stale_replica_the_truth_under_a_new_epoch) {
  const auto before = disk("vm-1").record.epoch();
  EXPECT_THAT(done(recover_ + " --accept-loss"),
              HasSubstr("disk vm-1: the replica on node n2 is the truth now"));
  const pb::DiskRecord after = disk("vm-1").record;
  EXPECT_GT(after.epoch(), before);
  EXPECT_TRUE(after.members(0).missing());
  EXPECT_TRUE(after.members(0).compare_all());
  EXPECT_FALSE(after.members(1).missing());
  EXPECT_THAT(done("events --limit 1"), HasSubstr("disk recovered  vm-1  n2"));
  EXPECT_EQ(done("lease show vm-1"), "nobody holds the lease of disk vm-1\n");
  // All that the other one holds counts as out of sync from now on.
  EXPECT_THAT(done("disk map vm-1"), HasSubstr("n1:N n2:Y"));
}

TEST_F(Recovery, is_refused_while_an_in_sync_replica_can_be_asked) {
  add_node("n1");
  fails(recover_ + " --accept-loss", 8,
        "disk vm-1: node n1 has an in-sync replica and answers; 'ukaictl sync vm-1' brings node n2 "
        "in sync without a loss");
}

TEST_F(Recovery, is_refused_while_one_answers_that_is_not_registered) {
  calls_.on_dirty_list = [](const std::string&, const pb::DirtyListRequest&) {
    return Result<pb::DirtyListReply>(Error{Code::not_admitted, "not fenced"});
  };
  EXPECT_EQ(run(recover_ + " --accept-loss").status, 8);
}

TEST_F(Recovery, asks_for_the_disks_name_on_a_terminal) {
  typed_ = "vm-2";
  EXPECT_EQ(run(recover_ + " --accept-loss").status, 8);
  EXPECT_TRUE(disk("vm-1").record.members(1).missing());
  typed_ = "vm-1";
  const Outcome outcome = run(recover_ + " --accept-loss");
  EXPECT_EQ(outcome.status, 0) << outcome;
  EXPECT_THAT(outcome.err, HasSubstr("Type the disk's name to go on: "));
}

TEST_F(Recovery, does_not_ask_when_told_not_to) {
  typed_ = "";
  done(recover_ + " --accept-loss --yes");
}

TEST_F(Recovery, names_what_is_wrong) {
  add_node("n3");
  fails("disk recover vm-1 --from n3 --accept-loss", 3, "disk vm-1 has no replica on node n3");
  fails("disk recover vm-9 --from n2 --accept-loss", 3, "there is no disk named 'vm-9'");
  fails("disk recover vm-1 --from n1 --accept-loss", 7, "node n1 is not running");
  EXPECT_EQ(run("disk recover vm-1 --from a/b --accept-loss").status, 2);
  EXPECT_EQ(run("disk recover vm-1 --accept-loss").status, 2);
  done(recover_ + " --accept-loss");
  fails(recover_ + " --accept-loss", 8,
        "disk vm-1: the replica on node n2 is in sync, there is nothing to recover");
}

TEST_F(Recovery, does_not_take_the_disk_from_a_guest) {
  add_host("h1");
  hold("vm-1", "h1");
  calls_.on_yield = [](const std::string&, const pb::YieldLeaseRequest&) {
    return Result<pb::YieldLeaseReply>(Error{Code::busy, "disk vm-1 is open on host h1"});
  };
  fails(recover_ + " --accept-loss", 5, "disk vm-1 is open on host h1");
}

class NodeRemove : public CtlTest {
 protected:
  NodeRemove() {
    add_node("n1");
    add_node("n2");
    add_down_node("n3");
  }
};

TEST_F(NodeRemove, forgets_a_node_without_blocks) {
  EXPECT_EQ(done("node remove n3"), "node n3 is forgotten\n");
  fails("node info n3", 3, "there is no node named 'n3'");
  EXPECT_THAT(done("events --limit 1"), HasSubstr("node removed  -     n3"));
}

TEST_F(NodeRemove, refuses_a_node_that_runs_or_has_blocks) {
  fails("node remove n1", 5, "node n1 is running; stop it first");
  fails("node remove n1 --lost", 5, "node n1 is running; stop it first");
  fails("node remove n9", 3, "there is no node named 'n9'");
  done("disk create vm-1 --size 8M --location n1,n3 --force");
  fails("node remove n3", 8,
        "node n3 has blocks of vm-1; take them off it, or say --lost if it is gone for good");
}

TEST_F(NodeRemove, takes_a_lost_node_off_its_disks) {
  done("disk create vm-1 --size 8M --location n1,n3 --force");
  EXPECT_EQ(done("node remove n3 --lost"), "node n3 is forgotten\ndisk vm-1: nothing is lost\n");
  EXPECT_EQ(disk("vm-1").record.members_size(), 1);
  EXPECT_THAT(done("disk map vm-1"), ::testing::Not(HasSubstr("n3")));
  EXPECT_THAT(done("disk info vm-1"), HasSubstr("healthy"));
}

TEST_F(NodeRemove, keeps_blocks_that_only_the_lost_node_had_and_says_so) {
  done("disk create vm-1 --size 16M --location n1,n3 --stripe --force");
  fails("node remove n3 --lost", 8,
        "only node n3 has an in-sync replica of disk vm-1 blocks 1,3; --accept-loss gives them up");
  EXPECT_EQ(done("node remove n3 --lost --accept-loss"),
            "node n3 is forgotten\ndisk vm-1: only node n3 had blocks 1,3; I/O on them fails\n");
  EXPECT_THAT(done("disk info vm-1"), HasSubstr("unavailable"));
  EXPECT_THAT(done("disk map vm-1"), HasSubstr("n3"));
}

TEST_F(NodeRemove, asks_the_host_that_holds_the_disk) {
  add_host("h1");
  done("disk create vm-1 --size 8M --location n1,n3 --force");
  hold("vm-1", "h1");
  std::vector<std::string> asked;
  calls_.on_change = [&](const std::string& host, const pb::ChangeDiskRequest& request) {
    asked.push_back(host + " " + request.drop_node().node() + " " + request.asked_by());
    return Result<pb::ChangeDiskReply>(pb::ChangeDiskReply());
  };
  done("node remove n3 --lost");
  EXPECT_EQ(asked, std::vector<std::string>{"h1 n3 alice@test"});
}

/// vm-1 was loaded from a dump: nobody knows who of n1 and n2 is up to date.
class Unproven : public CtlTest {
 protected:
  Unproven() {
    add_node("n1");
    add_node("n2");
    done("disk create vm-1 --size 8M --location n1,n2");
    auto taken = sync_wait(catalog_->take_lease(disk_id(), "h9", pb::LeaseRecord::ADMIN));
    pb::DiskRecord record = taken->entry.record;
    record.set_unproven(true);
    EXPECT_TRUE(sync_wait(catalog_->update_disk(taken->lease, taken->entry, record)).ok());
    EXPECT_TRUE(sync_wait(catalog_->release_lease(taken->lease)).ok());
  }
  DiskId disk_id() { return *DiskId::parse(disk("vm-1").record.id()); }
};

TEST_F(Unproven, is_not_called_healthy) {
  EXPECT_THAT(done("disk info vm-1"), HasSubstr("its metadata were loaded"));
  EXPECT_THAT(done("status"), HasSubstr("1 degraded"));
}

TEST_F(Unproven, is_decided_by_the_operator_though_both_answer) {
  done("disk recover vm-1 --from n2 --accept-loss");
  const pb::DiskRecord record = disk("vm-1").record;
  EXPECT_TRUE(record.members(0).compare_all());
  EXPECT_FALSE(record.members(1).missing());
}

TEST_F(Unproven, loses_a_node_only_with_the_operators_word) {
  add_down_node("n1");
  fails("node remove n1 --lost", 8,
        "disk vm-1: its metadata were loaded, and whether node n1 was the one that is up to date "
        "can no longer be found out; --accept-loss gives it up");
  EXPECT_EQ(disk("vm-1").record.members_size(), 2);
  done("node remove n1 --lost --accept-loss");
  EXPECT_EQ(disk("vm-1").record.members_size(), 1);
}

}  // namespace
}  // namespace ukai::ctl
