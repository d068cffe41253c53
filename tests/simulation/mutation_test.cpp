// SPDX-License-Identifier: BSD-2-Clause
//
// Does the simulator bite? Each rule of the design (section 5) is broken in the code, and some seed
// must show it.
#include "base/mutation.h"

#include <fmt/format.h>
#include <gtest/gtest.h>

#include "simulation/plans.h"
#include "simulation/seeds.h"

namespace ukai::sim {
namespace {

#ifdef __SANITIZE_ADDRESS__
constexpr bool quick = false;
#else
constexpr bool quick = true;
#endif

constexpr std::uint64_t seeds_max = 1000;

/// Breaks the core while it lives.
class Broken {
 public:
  explicit Broken(Mutation how) { mutation = how; }
  Broken(const Broken&) = delete;
  Broken& operator=(const Broken&) = delete;
  ~Broken() { mutation = Mutation::none; }
};

void expect_caught(Mutation how, const Plan& plan) {
  if (!quick) GTEST_SKIP() << "a matter of the release build: tools/test simulation";
  const Broken broken(how);
  const Seeds seeds = play_seeds(plan, number("UKAI_MUTATION_SEEDS", seeds_max));
  const std::string what = seeds.problems.empty() ? "" : seeds.problems.front();
  fmt::print("mutation: caught by seed {}: {}\n", seeds.failing, what);
  EXPECT_NE(seeds.failing, 0U) << "no seed of " << seeds.ran << " has noticed";
}

TEST(Mutation, rule_1_a_node_serves_old_sessions) {
  expect_caught(Mutation::serves_old_sessions, plans::two_replicas);
}

TEST(Mutation, rule_1_a_holder_goes_on_without_zookeeper_and_without_nodes) {
  expect_caught(Mutation::goes_on_unconfirmed, plans::two_hosts);
}

TEST(Mutation, rule_1_a_new_holder_does_not_wait_for_the_last) {
  expect_caught(Mutation::serves_before_the_last_ends, plans::two_hosts);
}

TEST(Mutation, rule_1_a_handle_outlives_the_hand_over_of_its_disk) {
  expect_caught(Mutation::keeps_old_handles_alive, plans::migrations);
}

TEST(Mutation, rule_2_a_failure_is_not_recorded_before_the_ack) {
  expect_caught(Mutation::acks_unrecorded_failure, plans::two_replicas);
}

TEST(Mutation, rule_2_a_member_that_fails_while_it_becomes_present_stays_present) {
  expect_caught(Mutation::forgets_who_is_presenting, plans::bad_metadata);
}

TEST(Mutation, rule_3_a_flush_asks_nobody) {
  expect_caught(Mutation::flushes_nothing, plans::power);
}

TEST(Mutation, rule_3_a_machine_is_trusted_after_a_power_loss) {
  expect_caught(Mutation::trusts_after_power_loss, plans::two_replicas);
}

TEST(Mutation, rule_4_dirty_blocks_are_not_reconciled) {
  expect_caught(Mutation::skips_reconciliation, plans::two_hosts);
}

TEST(Mutation, rule_4_nodes_log_nothing) {
  expect_caught(Mutation::logs_nothing, plans::two_replicas);
}

TEST(Mutation, rule_5_overlapping_writes_race) {
  expect_caught(Mutation::overlaps_writes, plans::two_replicas);
}

TEST(Mutation, rule_5_a_copy_undoes_new_writes) {
  expect_caught(Mutation::copies_over_new_writes, plans::two_replicas);
}

TEST(Mutation, rule_6_reads_go_to_replicas_out_of_sync) {
  expect_caught(Mutation::reads_any_replica, plans::two_replicas);
}

TEST(Mutation, rule_7_a_block_is_where_nobody_asked_for_it) {
  expect_caught(Mutation::writes_where_not_asked, plans::stripes);
}

TEST(Mutation, rule_8_the_guest_waits_for_healing) {
  expect_caught(Mutation::holds_guest_while_healing, plans::slow_healing);
}

TEST(Mutation, rule_9_damage_is_returned) {
  expect_caught(Mutation::returns_damage, plans::bad_disks);
}

TEST(Mutation, rule_9_data_is_returned_unchecked) {
  expect_caught(Mutation::returns_unchecked, plans::damages);
}

TEST(Mutation, rule_9_what_a_crash_has_torn_is_called_damaged) {
  expect_caught(Mutation::takes_torn_for_damage, plans::single_power);
}

}  // namespace
}  // namespace ukai::sim
