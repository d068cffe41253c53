// SPDX-License-Identifier: BSD-2-Clause
#pragma once

#ifdef UKAI_MUTATIONS
#include <atomic>
#endif

namespace ukai {

/// Ways to break the rules of the design (docs/testing.md, "Does it bite?"), one or more a rule, so
/// that the simulator can be shown to notice. The names say what goes wrong.
///
/// Only what simulation_test runs is compiled with UKAI_MUTATIONS (tests/CMakeLists.txt). In every
/// release mutated() is the constant false: no daemon has a switch that makes it lose data.
enum class Mutation {
  none,
  serves_old_sessions,  ///< rule 1: a node takes requests of a session that is over
  goes_on_unconfirmed,  ///< rule 1: a holder that cannot ask ZooKeeper does not ask the nodes
  serves_before_the_last_ends,  ///< rule 1: a new holder does not wait for the last one's 2 s
  keeps_old_handles_alive,      ///< rule 1: a handle writes again after another host has written
  acks_unrecorded_failure,      ///< rule 2: a failed replica is not recorded before the ack
  forgets_who_is_presenting,    ///< rule 2: who fails as ZooKeeper is told of it stays present
  flushes_nothing,              ///< rule 3: a flush is answered without asking anybody
  trusts_after_power_loss,      ///< rule 3: a machine that lost power is as good as before
  skips_reconciliation,         ///< rule 4: a new holder does not make dirty blocks equal
  logs_nothing,                 ///< rule 4: nodes do not log which blocks may be dirty
  overlaps_writes,              ///< rule 5: overlapping writes race to the replicas
  copies_over_new_writes,       ///< rule 5: a copy undoes what was written while it went on
  reads_any_replica,            ///< rule 6: reads go to replicas that are out of sync
  writes_where_not_asked,       ///< rule 7: a node without a location gets the block, too
  holds_guest_while_healing,    ///< rule 8: writes wait for the copy of their block
  returns_damage,               ///< rule 9: a damaged range is answered with zeros
  returns_unchecked,            ///< rule 9: data is returned whether it fits its checksum or not
  takes_torn_for_damage,        ///< rule 9: what a crash has torn is called damaged
};

#ifdef UKAI_MUTATIONS
/// The one in force. Global, since it stands for code that is written otherwise.
inline std::atomic<Mutation> mutation{Mutation::none};
inline bool mutated(Mutation which) { return mutation.load(std::memory_order_relaxed) == which; }
#else
constexpr bool mutated(Mutation) { return false; }
#endif

}  // namespace ukai
