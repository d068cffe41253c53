// SPDX-License-Identifier: BSD-2-Clause
//
// A whole UKAI on one thread, driven by a seed: a guest at work while nodes die, lose power and
// are cut off, disks fail, ZooKeeper connections break, and another host takes the disk over.
// Replay one seed with
//   UKAI_SEED=123 UKAI_TRACE=1 build/release/bin/simulation_test --gtest_filter=*.NAME
// and run more of them with UKAI_SEEDS=100000.
#include <gtest/gtest.h>

#include "simulation/plans.h"
#include "simulation/seeds.h"

namespace ukai::sim {
namespace {

TEST(DiskSimulation, keeps_every_acknowledged_write_on_two_replicas) {
  expect_no_seed_fails(plans::two_replicas, 15);
}

TEST(DiskSimulation, keeps_every_acknowledged_write_on_three_replicas) {
  expect_no_seed_fails(plans::three_replicas, 10);
}

TEST(DiskSimulation, keeps_every_acknowledged_write_on_stripes_of_two_replicas) {
  expect_no_seed_fails(plans::stripes, 10);
}

TEST(DiskSimulation, serves_a_single_replica_again_when_its_node_is_back) {
  expect_no_seed_fails(plans::single_replica, 10);
}

TEST(DiskSimulation, keeps_every_acknowledged_write_while_the_disk_grows) {
  expect_no_seed_fails(plans::growing, 3);
}

TEST(DiskSimulation, never_lets_two_hosts_write) { expect_no_seed_fails(plans::two_hosts, 15); }

TEST(DiskSimulation, hands_the_disk_over_when_the_guest_migrates) {
  expect_no_seed_fails(plans::migrations, 15);
}

TEST(DiskSimulation, lets_another_host_read_what_was_acknowledged) {
  expect_no_seed_fails(plans::readers, 10);
}

TEST(DiskSimulation, keeps_every_flushed_write_when_all_machines_lose_power) {
  expect_no_seed_fails(plans::power, 10);
}

TEST(DiskSimulation, says_at_a_flush_that_the_only_replica_lost_writes) {
  expect_no_seed_fails(plans::single_power, 10);
}

TEST(DiskSimulation, outlives_bad_disks_of_the_nodes) {
  expect_no_seed_fails(plans::bad_disks, 10);
}

TEST(DiskSimulation, moves_blocks_while_the_guest_goes_on) {
  expect_no_seed_fails(plans::moves, 10);
}

TEST(DiskSimulation, keeps_what_snapshots_have_frozen) {
  expect_no_seed_fails(plans::snapshots, 15);
}

TEST(DiskSimulation, keeps_what_snapshots_have_frozen_when_machines_lose_power) {
  expect_no_seed_fails(plans::snapshots_and_power, 10);
}

TEST(DiskSimulation, moves_blocks_with_all_of_their_versions) {
  expect_no_seed_fails(plans::snapshots_and_moves, 10);
}

TEST(DiskSimulation, keeps_what_snapshots_have_frozen_while_the_disk_grows) {
  expect_no_seed_fails(plans::snapshots_and_growth, 3);
}

TEST(DiskSimulation, never_returns_damage) { expect_no_seed_fails(plans::damages, 10); }

TEST(DiskSimulation, outlives_a_bad_zookeeper) { expect_no_seed_fails(plans::bad_metadata, 10); }

TEST(DiskSimulation, does_not_let_the_guest_wait_for_healing) {
  expect_no_seed_fails(plans::slow_healing, 5);
}

}  // namespace
}  // namespace ukai::sim
