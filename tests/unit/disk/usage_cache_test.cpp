// SPDX-License-Identifier: BSD-2-Clause
#include "disk/usage_cache.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "fake_link.h"
#include "unit/metadata/catalog_fixture.h"

namespace ukai {
namespace {

using namespace std::chrono_literals;

/// A disk of 64 MiB with two replicas of each block, on n1 and n2.
class UsageCacheTest : public test::CatalogTest {
 protected:
  void ask() {
    bytes_.reset();
    spawn_into<std::uint64_t>(cache_.allocated_bytes(record_),
                              [this](std::uint64_t bytes) { bytes_ = bytes; });
  }
  static void answer(test::FakeLink& link, std::uint64_t bytes) {
    pb::DiskUsageReply reply;
    reply.set_allocated_bytes(bytes);
    link.usage_asked.at(link.usage_asked.size() - 1).resolve(reply);
  }

  test::FakeDirectory nodes_;
  std::shared_ptr<test::FakeLink> n1_ = nodes_.add("n1");
  std::shared_ptr<test::FakeLink> n2_ = nodes_.add("n2");
  pb::DiskRecord record_ = record_of(create("vm", 64 * test::mib));
  UsageCache cache_{a.catalog, nodes_, scheduler};
  std::optional<std::uint64_t> bytes_;
};

TEST_F(UsageCacheTest, counts_one_copy_of_what_all_nodes_hold) {
  ask();
  answer(*n1_, 10 * test::mib);
  answer(*n2_, 10 * test::mib);
  scheduler.run_ready();
  EXPECT_EQ(bytes_, 10 * test::mib);
}

TEST_F(UsageCacheTest, counts_one_copy_when_a_node_is_away_or_silent) {
  nodes_.entries[NodeId("n2")].alive = false;
  ask();
  answer(*n1_, 10 * test::mib);
  scheduler.run_ready();
  EXPECT_EQ(bytes_, 10 * test::mib);

  nodes_.entries[NodeId("n2")].alive = true;
  scheduler.run_for(6s);
  ask();
  answer(*n1_, 12 * test::mib);
  scheduler.run_for(200ms);
  EXPECT_EQ(bytes_, 12 * test::mib);
  answer(*n2_, 1);  // too late, and no harm
}

TEST_F(UsageCacheTest, asks_again_only_after_some_seconds) {
  ask();
  answer(*n1_, test::mib);
  answer(*n2_, test::mib);
  scheduler.run_for(4s);
  ask();
  EXPECT_EQ(bytes_, test::mib);
  EXPECT_EQ(n1_->usage_asked.size(), 1U);
  scheduler.run_for(2s);
  ask();
  EXPECT_EQ(n1_->usage_asked.size(), 2U);
  answer(*n1_, 2 * test::mib);
  answer(*n2_, 2 * test::mib);
  scheduler.run_ready();
  EXPECT_EQ(bytes_, 2 * test::mib);
}

TEST_F(UsageCacheTest, takes_the_whole_size_for_used_when_nobody_can_be_asked) {
  for (auto& [node, entry] : nodes_.entries) entry.alive = false;
  EXPECT_EQ(run(cache_.allocated_bytes(record_)), 64 * test::mib);
}

TEST_F(UsageCacheTest, is_never_zero_and_never_more_than_the_disk_has) {
  ask();
  answer(*n1_, 0);
  answer(*n2_, 0);
  scheduler.run_ready();
  EXPECT_EQ(bytes_, 512U) << "archivers do not read a file without blocks";
  scheduler.run_for(6s);
  ask();
  answer(*n1_, 100 * test::mib);
  answer(*n2_, 100 * test::mib);
  scheduler.run_ready();
  EXPECT_EQ(bytes_, 64 * test::mib);
}

TEST_F(UsageCacheTest, sums_the_space_of_nodes_that_are_alive) {
  for (const char* id : {"n1", "n2", "n3"}) {
    pb::NodeRecord node = test::node_record(id);
    node.set_capacity_bytes(1000);
    pb::NodeAlive alive = test::node_alive(1);
    alive.set_free_bytes(400);
    Process& process = std::string(id) == "n3" ? b : a;
    ASSERT_TRUE(run(process.catalog.register_node(node, alive)).ok());
  }
  b.coordination.expire_session();  // n3 is registered but no longer alive
  scheduler.run_ready();
  const auto space = run(cache_.space());
  ASSERT_TRUE(space.ok());
  EXPECT_EQ(space->capacity_bytes, 2000U);
  EXPECT_EQ(space->free_bytes, 800U);
}

}  // namespace
}  // namespace ukai
