// SPDX-License-Identifier: BSD-2-Clause
#include <fmt/format.h>
#include <gmock/gmock.h>

#include "ctl_fixture.h"

namespace ukai::ctl {
namespace {

using testing::HasSubstr;

class JobCommands : public CtlTest {
 protected:
  JobCommands() {
    for (const char* id : {"n1", "n2", "n3"}) add_node(id);
    add_down_node("n4");
    done("disk create vm-1 --size 40M --location n1,n2");
  }
  void jobs_end_well() {
    add_host("h1");
    run_jobs([](pb::JobRecord& job) {
      job.set_state(pb::JobRecord::DONE);
      job.set_replicas_done(3);
      job.set_bytes_moved(12U << 20);
    });
  }
};

TEST_F(JobCommands, need_some_host) {
  fails("sync vm-1", 7, "no ukaid runs that could work on disk vm-1");
  EXPECT_TRUE(jobs("vm-1").empty());
}

TEST_F(JobCommands, wait_for_the_end_and_say_what_was_done) {
  jobs_end_well();
  EXPECT_EQ(done("sync vm-1"), "disk vm-1 is in sync: 3 blocks healed, 12 MiB moved\n");
  EXPECT_EQ(done("replicate vm-1 --to n3"), "disk vm-1: 3 blocks copied, 12 MiB moved\n");
  ASSERT_EQ(jobs("vm-1").size(), 2U);
  const pb::JobRecord job = jobs("vm-1").back();
  EXPECT_EQ(job.asked_by(), "alice@test");
  ASSERT_EQ(job.moves_size(), 1);
  EXPECT_EQ(job.moves(0).to(), "n3");
  EXPECT_EQ(job.moves(0).end(), 10U);
}

TEST_F(JobCommands, fail_as_the_job_does) {
  add_host("h1");
  run_jobs([](pb::JobRecord& job) {
    job.set_state(pb::JobRecord::FAILED);
    job.set_error("no_space");
    job.set_why("node n3 is full");
  });
  const Outcome outcome = run("replicate vm-1 --to n3");
  EXPECT_EQ(outcome.status, 6);
  EXPECT_THAT(outcome.err, HasSubstr("disk vm-1: job "));
  EXPECT_THAT(outcome.err, HasSubstr(" failed: node n3 is full\n"));
}

TEST_F(JobCommands, join_what_has_been_begun) {
  add_host("h1");
  const std::string first = done("relocate vm-1 --from n1 --to n3 --detach");
  EXPECT_THAT(first, HasSubstr("-1 for disk vm-1\n"));
  EXPECT_EQ(done("relocate vm-1 --from n1 --to n3 --detach"), first);
  EXPECT_EQ(done("relocate vm-1 --from n1 --to n3 --blocks 0-4 --detach"), first) << "part of it";
  EXPECT_EQ(jobs("vm-1").size(), 1U);
  done("disk create vm-2 --size 40M --location n1");
  const std::string part = done("relocate vm-2 --from n1 --to n3 --blocks 0-4 --detach");
  const std::string both = done("relocate vm-2 --from n1 --to n3 --detach");
  EXPECT_THAT(both, testing::StartsWith(part));
  ASSERT_EQ(jobs("vm-2").size(), 2U);
  EXPECT_EQ(jobs("vm-2").back().moves(0).begin(), 5U);
}

/// As the runner does at the start of a job: the map changes before anything has arrived.
TEST_F(JobCommands, join_what_is_half_done) {
  add_host("h1");
  add_node("n5");
  const std::string first = done("replicate vm-1 --to n3 --detach");
  done("location add vm-1 n3");
  EXPECT_EQ(done("replicate vm-1 --to n3 --detach"), first);
  done("disk create vm-2 --size 40M --location n1");
  const std::string second = done("relocate vm-2 --from n1 --to n3,n5 --detach");
  const pb::JobRecord job = jobs("vm-2").front();
  for (const pb::JobMove& move : job.moves()) {
    done(fmt::format("location add vm-2 {} --blocks {}-{}", move.to(), move.begin(),
                     move.end() - 1));
  }
  EXPECT_EQ(done("relocate vm-2 --from n1 --to n3,n5 --detach"), second);
  EXPECT_EQ(jobs("vm-2").size(), 1U);
}

TEST_F(JobCommands, do_not_join_a_job_that_is_to_end) {
  add_host("h1");
  const std::string first = done("replicate vm-1 --to n3 --detach");
  done("location add vm-1 n3");
  done("job cancel " + jobs("vm-1").front().id());
  EXPECT_NE(done("replicate vm-1 --to n3 --detach"), first);
  const std::string sync = done("sync vm-1 --detach");
  EXPECT_EQ(done("sync vm-1 --detach"), sync);
  done("job cancel " + jobs("vm-1").back().id());
  EXPECT_NE(done("sync vm-1 --detach"), sync);
}

TEST_F(JobCommands, bring_locations_in_sync_that_wait_for_it) {
  jobs_end_well();
  done("location add vm-1 n3 --blocks 2-5");
  done("replicate vm-1 --to n3 --blocks 0-5");
  ASSERT_EQ(jobs("vm-1").size(), 1U);
  EXPECT_EQ(jobs("vm-1").front().moves(0).begin(), 0U);
  EXPECT_EQ(jobs("vm-1").front().moves(0).end(), 6U);
}

TEST_F(JobCommands, that_watch_can_be_left) {
  add_host("h1");
  done("disk create vm-2 --size 8M --location n1");
  interrupted_ = true;
  const Outcome outcome = run("replicate vm-1 vm-2 --to n3");
  EXPECT_EQ(outcome.status, 1);
  const std::string one = jobs("vm-1").front().id();
  const std::string two = jobs("vm-2").front().id();
  EXPECT_EQ(outcome.err, "ukaictl: jobs " + one + ", " + two + " go on; 'ukaictl job cancel " +
                             one + " " + two + "' ends them\n");
  fails("job wait " + one, 1, "job " + one + " goes on; 'ukaictl job cancel " + one + "' ends it");
  interrupted_ = false;
  done("job cancel " + one + " " + two);  // as it said
  EXPECT_TRUE(jobs("vm-1").front().cancel());
  EXPECT_TRUE(jobs("vm-2").front().cancel());
}

TEST_F(JobCommands, say_what_is_done_even_if_another_fails) {
  add_host("h1");
  done("disk create vm-2 --size 8M --location n1");
  run_jobs([](pb::JobRecord& job) {
    job.set_state(job.disk_name() == "vm-1" ? pb::JobRecord::FAILED : pb::JobRecord::DONE);
    job.set_error("no_space");
    job.set_why("node n3 is full");
  });
  const Outcome outcome = run("replicate vm-1 vm-2 --to n3");
  EXPECT_EQ(outcome.status, 6);
  EXPECT_EQ(outcome.out, "disk vm-2: 1 block copied, 4 MiB moved\n");
  EXPECT_THAT(outcome.err, HasSubstr("disk vm-1: job "));
}

TEST_F(JobCommands, refuse_more_replicas_than_a_block_may_have) {
  add_host("h1");
  std::string to = "n3";
  for (int i = 10; i < 16; ++i) {
    add_node("n" + std::to_string(i));
    to += ",n" + std::to_string(i);
  }
  EXPECT_EQ(run("replicate vm-1 --to " + to).status, 2) << "nine";
  EXPECT_TRUE(jobs("vm-1").empty());
}

TEST_F(JobCommands, begin_nothing_when_something_is_wrong) {
  add_host("h1");
  fails("replicate vm-1 nobody --to n3", 3, "there is no disk named 'nobody'");
  fails("replicate vm-1 --to n9", 3, "there is no node named 'n9'");
  fails("replicate vm-1 --to n4", 8, "node n4 is down; nothing was changed");
  fails("relocate vm-1 --from n1 --to label=old", 3, "no node matches label=old");
  fails("relocate vm-1 --from n9 --to n3", 3, "there is no node named 'n9'");
  fails("relocate vm-1 --from n1 --to n1", 2, "--from and --to name the same node");
  fails("sync vm-1 --rate 0", 2, "a rate of 0 would never end");
  EXPECT_EQ(done("replicate vm-1 --to n1,n2"), "nothing to change\n");
  EXPECT_TRUE(jobs("vm-1").empty());
}

TEST_F(JobCommands, show_what_they_would_do) {
  const std::string plan = done("relocate vm-1 --from n1 --to n3 --rate 4M --plan");
  EXPECT_THAT(plan, HasSubstr("vm-1  n1    n3  0-9        10   40 MiB\n"));
  EXPECT_THAT(plan, HasSubstr("at most 40 MiB, estimated time: 10 s; nothing was changed\n"));
  EXPECT_THAT(done("node drain n1 --to n3 --plan"), HasSubstr("estimated time: unknown"));
  EXPECT_EQ(done("sync vm-1 --plan"), "nothing to change\n");
  EXPECT_TRUE(jobs("vm-1").empty());
}

TEST_F(JobCommands, steer_a_job) {
  add_host("h1");
  done("sync vm-1 --detach");
  const std::string id = jobs("vm-1").front().id();
  done("job rate " + id + " 5M");
  EXPECT_EQ(jobs("vm-1").front().rate_bytes_per_s(), 5U << 20);
  done("job rate " + id + " unlimited");
  EXPECT_EQ(jobs("vm-1").front().rate_bytes_per_s(), 0U);
  EXPECT_THAT(done("job list"), HasSubstr(id + "  vm-1  sync"));
  done("job cancel " + id);
  EXPECT_TRUE(jobs("vm-1").front().cancel());
  EXPECT_THAT(done("job info " + id), HasSubstr("queued (is to be cancelled)"));
  run_jobs([](pb::JobRecord& job) { job.set_state(pb::JobRecord::CANCELLED); });
  fails("job wait " + id, 1, "disk vm-1: job " + id + " was cancelled; what had arrived stays");
  fails("job cancel " + id, 2, "job " + id + " is cancelled already");
  fails("job info 12345678-1", 3, "there is no job '12345678-1'");
}

TEST_F(JobCommands, drain_a_node_which_takes_nothing_new) {
  add_host("h1");
  run_jobs([this](pb::JobRecord& job) {
    do_moves(job);
    job.set_state(pb::JobRecord::DONE);
  });
  done("disk create vm-2 --size 8M --location n3");
  EXPECT_THAT(done("node drain n1 --to n3"), HasSubstr("node n1 is empty\n"));
  ASSERT_EQ(jobs("vm-1").size(), 1U);
  EXPECT_EQ(jobs("vm-1").front().part_of(), "drain n1");
  EXPECT_TRUE(jobs("vm-2").empty());
  EXPECT_EQ(done("node drain n1 --to n3"), "node n1 is empty\n") << "again";
  fails("location add vm-2 n1", 8, "node n1 is being drained; nothing was changed");
  fails("replicate vm-2 --to n1", 8, "node n1 is being drained; nothing was changed");
  fails("disk create vm-3 --size 8M --location n1", 8,
        "node n1 is being drained (--force creates the disk nevertheless)");
  done("node drain n1 --stop");
  done("location add vm-2 n1");
  fails("node drain n2", 2, "say --to which nodes, or --stop");
  fails("node drain n2 --to n2", 2, "a node cannot be drained to itself");
  fails("node drain n9 --to n2", 3, "there is no node named 'n9'");
}

TEST_F(JobCommands, of_a_drain_change_nothing_that_cannot_be_done) {
  fails("node drain n1 --to n3", 7, "no ukaid runs that could work on disk vm-1");
  EXPECT_THAT(done("node info n1"), HasSubstr("active"));
  add_host("h1");
  fails("node drain n1 --to n2", 8,
        "disk vm-1: block 0 lies on all of the targets already; name another one");
  EXPECT_THAT(done("node info n1"), HasSubstr("active"));
  EXPECT_TRUE(jobs("vm-1").empty());
}

/// The fake host ends jobs without moving anything.
TEST_F(JobCommands, need_another_target_than_the_source) {
  add_host("h1");
  for (const char* id : {"n2", "n3"}) {
    EXPECT_TRUE(sync_wait(catalog_->set_admin_state(NodeId(id), "draining")).ok());
  }
  for (const char* command : {"relocate vm-1 --from n1", "node drain n1"}) {
    fails(std::string(command) + " --to site=jp", 3, "no other node than n1 matches --to");
  }
  EXPECT_TRUE(jobs("vm-1").empty());
}

TEST_F(JobCommands, of_a_drain_are_believed_by_what_the_map_says) {
  jobs_end_well();
  const Outcome outcome = run("node drain n1 --to n3");
  EXPECT_EQ(outcome.status, 5);
  EXPECT_THAT(outcome.err, HasSubstr("node n1 is not empty yet: disk vm-1 has blocks there"));
}

}  // namespace
}  // namespace ukai::ctl
