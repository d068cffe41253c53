// SPDX-License-Identifier: BSD-2-Clause
//
// Jobs and the nodes' admin state on every Coordination that there is.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <thread>

#include "catalog_fixture.h"
#include "ukai/job_store.h"
#include "worlds.h"

namespace ukai::test {
namespace {

using namespace std::chrono_literals;

struct Backend {
  const char* name;
  std::unique_ptr<World> (*make)();
};

/// One process with its own session.
struct Process {
  explicit Process(World& world, ClientOptions options = ClientOptions{})
      : client(world.connect(options)),
        catalog(client->coordination(), world.scheduler()),
        jobs(client->coordination(), world.scheduler()) {}

  std::unique_ptr<TestClient> client;
  Catalog catalog;
  JobStore jobs;
};

class JobContract : public testing::TestWithParam<Backend> {
 protected:
  JobContract() {
    EXPECT_TRUE(sync_wait(runner.catalog.ensure_layout()).ok());
    pb::DiskRecord record = disk_record("vm-1", 8 * mib);
    disk = *DiskId::parse(record.id());
    EXPECT_TRUE(sync_wait(runner.catalog.create_disk(record, disk_map(record))).ok());
  }

  static pb::JobRecord relocation() {
    pb::JobRecord job;
    job.set_kind(pb::JobRecord::RELOCATE);
    job.set_part_of("drain n1");
    pb::JobMove* move = job.add_moves();
    move->set_from("n1");
    move->set_to("n3");
    move->set_end(2);
    return job;
  }

  std::unique_ptr<World> world = GetParam().make();
  Process runner{*world};
  Process operator_{*world};
  DiskId disk;
};

INSTANTIATE_TEST_SUITE_P(Backends, JobContract,
                         testing::Values(Backend{"memory", &make_memory_world},
                                         Backend{"zookeeper", &make_zookeeper_world}),
                         [](const auto& backend) { return std::string(backend.param.name); });

TEST_P(JobContract, a_job_lives_from_its_asking_to_its_end) {
  auto asked = sync_wait(operator_.jobs.create(disk, relocation()));
  ASSERT_TRUE(asked.ok()) << asked.error().what;
  EXPECT_EQ(sync_wait(runner.jobs.active()).value(), std::vector<JobKey>{asked->key});
  auto seen = sync_wait(runner.jobs.load(asked->key));
  ASSERT_TRUE(seen.ok());
  EXPECT_EQ(seen->record.SerializeAsString(), asked->record.SerializeAsString());

  pb::JobRecord running = seen->record;
  running.set_state(pb::JobRecord::RUNNING);
  auto begun = sync_wait(runner.jobs.update(*seen, running));
  ASSERT_TRUE(begun.ok());
  pb::JobRecord slower = asked->record;
  slower.set_rate_bytes_per_s(7);
  EXPECT_TRUE(sync_wait(operator_.jobs.update(*asked, slower)).failed_with(Code::stale));

  pb::JobRecord done = begun->record;
  done.set_state(pb::JobRecord::DONE);
  ASSERT_TRUE(sync_wait(runner.jobs.update(*begun, done)).ok());
  EXPECT_TRUE(sync_wait(operator_.jobs.active())->empty());
  auto kept = sync_wait(operator_.jobs.find(asked->record.id()));
  ASSERT_TRUE(kept.ok());
  EXPECT_EQ(kept->record.state(), pb::JobRecord::DONE);
}

TEST_P(JobContract, jobs_that_are_asked_for_at_once_have_numbers_of_their_own) {
  std::vector<std::jthread> askers;
  for (JobStore* store : {&runner.jobs, &operator_.jobs}) {
    askers.emplace_back([this, store] {
      for (int i = 0; i < 5; ++i) EXPECT_TRUE(sync_wait(store->create(disk, relocation())).ok());
    });
  }
  askers.clear();
  auto jobs = sync_wait(runner.jobs.of_disk(disk));
  ASSERT_TRUE(jobs.ok());
  ASSERT_EQ(jobs->size(), 10U);
  for (std::uint32_t i = 0; i < 10; ++i) EXPECT_EQ((*jobs)[i].key.number, i + 1);
  EXPECT_EQ(sync_wait(runner.jobs.active())->size(), 10U);
}

TEST_P(JobContract, a_job_whose_answer_is_lost_is_there_once) {
  operator_.client->lose_replies();
  std::jthread network([this] {
    std::this_thread::sleep_for(300ms);
    operator_.client->cut();
    operator_.client->heal();
  });
  auto asked = sync_wait(operator_.jobs.create(disk, relocation()));
  ASSERT_TRUE(asked.ok()) << asked.error().what;
  auto jobs = sync_wait(runner.jobs.of_disk(disk));
  ASSERT_TRUE(jobs.ok());
  ASSERT_EQ(jobs->size(), 1U);
  EXPECT_EQ(jobs->front().record.op(), asked->record.op());
}

TEST_P(JobContract, a_drained_node_stays_so_until_it_is_said_otherwise) {
  const NodeId node("n1");
  const auto state = [&] { return sync_wait(runner.catalog.node(node))->record.admin_state(); };
  const auto set = [&](Process& who, const char* to) {
    return sync_wait(who.catalog.set_admin_state(node, to));
  };
  EXPECT_TRUE(set(operator_, "draining").failed_with(Code::not_found));
  ASSERT_TRUE(sync_wait(runner.catalog.register_node(node_record("n1"), node_alive(1))).ok());
  ASSERT_TRUE(set(operator_, "draining").ok());
  ASSERT_TRUE(set(operator_, "draining").ok()) << "again";
  EXPECT_EQ(state(), "draining");
  ASSERT_TRUE(sync_wait(runner.catalog.register_node(node_record("n1"), node_alive(2))).ok());
  EXPECT_EQ(state(), "draining") << "restarted";
  // Both change it at once: nothing but one of the two comes of it, and both are answered.
  std::vector<std::jthread> others;
  for (Process* who : {&runner, &operator_}) {
    others.emplace_back([&set, who] {
      for (int i = 0; i < 10; ++i) EXPECT_TRUE(set(*who, i % 2 == 0 ? "active" : "draining").ok());
    });
  }
  others.clear();
  EXPECT_EQ(state(), "draining");
}

}  // namespace
}  // namespace ukai::test
