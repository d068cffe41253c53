// SPDX-License-Identifier: BSD-2-Clause
#include "ukai/job_store.h"

#include <gmock/gmock.h>

#include "catalog_fixture.h"
#include "ukai/limits.h"

namespace ukai::test {
namespace {

class JobStores : public CatalogTest {
 protected:
  JobStores() : jobs(a.coordination, scheduler), others(b.coordination, scheduler) {
    EXPECT_TRUE(run(a.catalog.ensure_layout()).ok());
    pb::DiskRecord record = disk_record("vm-1", 8 * mib);
    disk = *DiskId::parse(record.id());
    EXPECT_TRUE(run(a.catalog.create_disk(record, disk_map(record))).ok());
  }

  JobEntry create(pb::JobRecord::Kind kind = pb::JobRecord::SYNC) {
    pb::JobRecord job;
    job.set_kind(kind);
    auto made = run(jobs.create(disk, job));
    EXPECT_TRUE(made.ok());
    return *made;
  }

  void end(const JobEntry& entry, pb::JobRecord::State state = pb::JobRecord::DONE) {
    pb::JobRecord changed = entry.record;
    changed.set_state(state);
    EXPECT_TRUE(run(jobs.update(entry, changed)).ok());
  }

  DiskId disk;
  JobStore jobs;
  JobStore others;
};

TEST_F(JobStores, number_jobs_disk_by_disk) {
  const JobEntry first = create();
  const JobEntry second = create();
  EXPECT_EQ(first.record.id(), disk.to_string().substr(0, 8) + "-1");
  EXPECT_EQ(second.record.id(), disk.to_string().substr(0, 8) + "-2");
  auto found = run(others.find(second.record.id()));
  ASSERT_TRUE(found.ok());
  EXPECT_EQ(found->key, second.key);
  EXPECT_EQ(run(others.active()).value(), (std::vector<JobKey>{first.key, second.key}));
}

TEST_F(JobStores, are_found_only_by_an_id_that_exists) {
  create();
  for (const char* id : {"", "1", "nonsense", "00000000-1", "-", "12345678-", "12345678-x"}) {
    EXPECT_TRUE(run(jobs.find(id)).failed_with(Code::not_found)) << id;
  }
  const std::string id = disk.to_string().substr(0, 8) + "-2";
  EXPECT_TRUE(run(jobs.find(id)).failed_with(Code::not_found));
  EXPECT_TRUE(run(jobs.create(DiskId::random(), pb::JobRecord())).failed_with(Code::not_found));
}

TEST_F(JobStores, change_only_what_nobody_has_changed_since) {
  const JobEntry entry = create();
  pb::JobRecord slower = entry.record;
  slower.set_rate_bytes_per_s(7);
  ASSERT_TRUE(run(others.update(entry, slower)).ok());
  EXPECT_TRUE(run(jobs.update(entry, entry.record)).failed_with(Code::stale));
  EXPECT_EQ(run(jobs.load(entry.key))->record.rate_bytes_per_s(), 7U);
}

TEST_F(JobStores, that_have_ended_are_no_work_any_more_and_kept_for_a_while) {
  for (std::size_t i = 0; i < limits::jobs_kept + 5; ++i) end(create());
  EXPECT_TRUE(run(jobs.active())->empty());
  const JobEntry last = create(pb::JobRecord::RELOCATE);
  auto kept = run(jobs.of_disk(disk));
  ASSERT_TRUE(kept.ok());
  EXPECT_EQ(kept->size(), limits::jobs_kept + 1);
  EXPECT_EQ(kept->back().key, last.key);
  EXPECT_EQ(last.key.number, limits::jobs_kept + 6);
}

TEST_F(JobStores, go_with_their_disk) {
  create();
  end(create());
  auto taken = run(a.catalog.take_lease(disk, "me", pb::LeaseRecord::ADMIN));
  ASSERT_TRUE(taken.ok());
  ASSERT_TRUE(run(a.catalog.delete_disk(taken->lease, taken->entry)).ok());
  EXPECT_TRUE(run(jobs.active())->empty());
  EXPECT_TRUE(run(jobs.of_disk(disk))->empty());
}

TEST_F(JobStores, remember_which_leases_were_given_back_and_which_served_guests) {
  const auto take = [&](pb::LeaseRecord::Kind kind) {
    auto taken = run(a.catalog.take_lease(disk, "h1", kind));
    EXPECT_TRUE(taken.ok());
    return *taken;
  };
  const auto record = [&] { return run(b.catalog.load_disk(disk))->record; };
  const auto guest = take(pb::LeaseRecord::GUEST);
  EXPECT_EQ(record().guest_epoch(), record().epoch());
  ASSERT_TRUE(run(a.catalog.release_lease(guest.lease)).ok());
  EXPECT_EQ(record().released_epoch(), record().epoch());
  const auto job = take(pb::LeaseRecord::JOB);
  EXPECT_EQ(job.guest_before, raw(guest.lease.epoch));
  EXPECT_EQ(record().guest_epoch(), raw(guest.lease.epoch));
  ASSERT_TRUE(run(a.catalog.release_lease(job.lease)).ok());
  // A guest that was lost is still lost after an administrator's look.
  take(pb::LeaseRecord::GUEST);
  a.coordination.expire_session();
  const auto admin = take(pb::LeaseRecord::ADMIN);
  ASSERT_TRUE(run(a.catalog.release_lease(admin.lease)).ok());
  EXPECT_LT(record().released_epoch(), record().epoch());
}

TEST_F(JobStores, have_an_admin_state_of_nodes_beside_them) {
  ASSERT_TRUE(run(a.catalog.register_node(node_record("n1"), node_alive(1))).ok());
  ASSERT_TRUE(run(b.catalog.set_admin_state(NodeId("n1"), "draining")).ok());
  EXPECT_EQ(run(a.catalog.node(NodeId("n1")))->record.admin_state(), "draining");
  ASSERT_TRUE(run(a.catalog.register_node(node_record("n1"), node_alive(2))).ok());
  EXPECT_EQ(run(a.catalog.node(NodeId("n1")))->record.admin_state(), "draining");
  EXPECT_TRUE(run(b.catalog.set_admin_state(NodeId("n9"), "active")).failed_with(Code::not_found));
}

}  // namespace
}  // namespace ukai::test
