// SPDX-License-Identifier: BSD-2-Clause
//
// A whole UKAI on one thread, driven by a seed: a guest at work while nodes die, lose power and
// are cut off, disks fail, ZooKeeper connections break, and another host takes the disk over.
// Replay one seed with
//   UKAI_SEED=123 UKAI_TRACE=1 build/release/bin/simulation_test --gtest_filter=*.NAME
// and run more of them with UKAI_SEEDS=100000.
#include <gtest/gtest.h>

#include "simulation/seeds.h"

namespace ukai::sim {
namespace {

TEST(DiskSimulation, keeps_every_acknowledged_write_on_two_replicas) {
  expect_no_seed_fails({.nodes = 2}, 15);
}

TEST(DiskSimulation, keeps_every_acknowledged_write_on_three_replicas) {
  expect_no_seed_fails({.nodes = 3}, 10);
}

TEST(DiskSimulation, keeps_every_acknowledged_write_on_stripes_of_two_replicas) {
  expect_no_seed_fails({.nodes = 3, .stripe = true, .replicas = 2}, 10);
}

TEST(DiskSimulation, serves_a_single_replica_again_when_its_node_is_back) {
  expect_no_seed_fails({.nodes = 1, .replicas = 1}, 10);
}

TEST(DiskSimulation, keeps_every_acknowledged_write_while_the_disk_grows) {
  expect_no_seed_fails({.nodes = 3, .stripe = true, .replicas = 2, .rounds = 6, .grows = true}, 3);
}

TEST(DiskSimulation, never_lets_two_hosts_write) {
  expect_no_seed_fails({.nodes = 2, .hosts = 2}, 15);
}

}  // namespace
}  // namespace ukai::sim
