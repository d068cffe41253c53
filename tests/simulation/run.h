// SPDX-License-Identifier: BSD-2-Clause
#pragma once

#include <map>
#include <optional>
#include <string>
#include <vector>

#include "simulation/guest.h"
#include "ukai/block_map.h"

namespace ukai::sim {

/// What one run has: its machines, and what may happen to them.
struct Plan {
  std::size_t nodes = 2;
  std::size_t hosts = 1;
  bool stripe = false;
  std::uint32_t replicas = 0;
  int rounds = 12;
  bool grows = false;         ///< the operator makes the disk larger all the time
  bool readers = false;       ///< another host reads while the first one writes
  bool power = false;         ///< machines lose power at any time, alone or all at once
  bool bad_disks = false;     ///< nodes' disks fail, return damage, are full
  bool migrates = false;      ///< the guest migrates live between the hosts
  bool moves = false;         ///< the operator moves blocks between nodes all the time
  bool snapshots = false;     ///< the operator takes, clones and deletes snapshots all the time
  bool damages = false;       ///< media rot: on one replica, at times on all
  bool bad_metadata = false;  ///< ZooKeeper hangs, loses answers, answers with the past
  std::uint64_t heal_rate_bytes_per_s = 0;
  bool calm = true;  ///< at the end: nothing may fail, or take long, once all is mended
};

/// One run of one seed: faults while a guest works; then all is mended, the guest must get through,
/// and the oracles are asked (faults.md, O1 to O3, O5, O6).
class Run {
 public:
  Run(std::uint64_t seed, const Plan& plan, bool trace);

  /// What was wrong, first things first; empty: nothing.
  std::vector<std::string> play();
  std::uint64_t completed() const { return guest_.completed(); }

 private:
  static constexpr std::uint32_t block_bytes = 64U << 10;
  static constexpr std::uint64_t blocks = 6;

  template <class T>
  std::optional<T> wait(Task<T> task) {
    auto value = std::make_shared<std::optional<T>>();
    spawn_into<T>(std::move(task), [value](T result) { value->emplace(std::move(result)); });
    world_.scheduler.run_until([&] { return value->has_value(); }, std::chrono::seconds(120));
    return std::move(*value);
  }
  template <class Done>
  bool until(Done done, Duration limit) {
    return world_.scheduler.run_until(std::move(done), limit);
  }

  void create();
  void work(Duration time, Duration pause_max);
  void grow();
  void settle();
  void checkpoint(const std::string& when);
  void expect(bool fine, const std::string& otherwise) {
    if (!fine) problems_.push_back(otherwise);
  }

  // -- faults.cpp
  void fault();
  void node_fault();
  void network_fault();
  void host_fault();
  void metadata_fault();
  void unsteady_return();
  void disk_fault();
  void power_fault();
  void isolated_power_cut();
  void blackout();
  void take_over();
  void split();
  void mend();
  SimHost& host() { return *world_.hosts[host_]; }
  std::size_t any_node() { return world_.scheduler.below(plan_.nodes); }

  // -- moves.cpp
  void move_some();
  void ask_for_job();
  void cancel_a_job();
  bool jobs_have_ended();
  bool may_be_ordered_away(const SimNode& node, BlockIndex block);
  bool orders_are_left();
  void empty_trash(bool leases_are_over);
  void clear_left(SimNode& node);
  bool all_in_sync_twice();
  bool refresh_map();
  void finish_moves();

  // -- snapshots.cpp
  /// A state that was frozen at some moment between two.
  struct Frozen {
    std::string file;  ///< as the mount calls it
    std::uint64_t from = 0;
    std::uint64_t to = 0;
    std::map<std::size_t, std::uint64_t> seen{};  ///< by cell: it never changes
  };
  void snapshot_some();
  void take_snapshot();
  void delete_snapshot();
  void clone_some();
  Task<void> read_frozen(std::shared_ptr<Frozen> frozen);
  std::vector<std::string> snapshot_names();
  void roll_back_some();
  void reread(const std::shared_ptr<Frozen>& frozen);
  void finish_snapshots();
  std::string seen_content(const SimNode& node, BlockIndex block, Generation at);
  std::string leftover_versions();

  // -- damage.cpp
  void damage_fault();
  void damage_one();
  void damage_at_rest();
  void damage_everywhere();
  bool calm_down();
  bool all_is_good_again();
  void damage(SimNode& node, BlockIndex block, bool may_lose_all);
  void scrub(bool all_repaired);
  std::string damaged_blocks();
  std::string last_record_change();

  // -- oracles.cpp
  bool all_present();
  bool says_healthy();
  bool quiet() const { return guest_.under_way() == 0; }
  std::vector<Location> locations_of(BlockIndex block) const;
  std::string unequal_replicas();
  std::string stray_blocks();

  const Plan plan_;
  World world_;
  Guest guest_;
  DiskId disk_{{1, 2, 3}};
  std::vector<pb::MapSegment> map_;
  std::size_t host_ = 0;
  std::uint64_t size_bytes_ = blocks * block_bytes;
  std::uint64_t grown_ = 0;
  std::uint64_t moved_ = 0;                      ///< changes of locations that were made
  int moving_ = 0;                               ///< those under way
  std::vector<std::shared_ptr<Frozen>> frozen_;  ///< shared: reads of them may be under way
  std::uint64_t named_ = 0;                      ///< snapshots that were asked for
  int freezing_ = 0;                             ///< such requests under way
  pb::DiskRecord record_;                        ///< as last looked at
  std::vector<std::string> problems_;
};

}  // namespace ukai::sim
