// SPDX-License-Identifier: BSD-2-Clause
//
// A whole UKAI on one thread, driven by a seed: a guest at work while nodes die, lose power and
// are cut off, ZooKeeper connections break, and another host takes the disk over. Replay one seed
// with
//   UKAI_SEED=123 build/dev/bin/simulation_test
// and run more of them with UKAI_SEEDS=100000.
#include <fmt/format.h>
#include <gtest/gtest.h>

#include <cstdlib>

#include "simulation/guest.h"
#include "ukai/block_map.h"

namespace ukai::sim {
namespace {

using namespace std::chrono_literals;

constexpr std::uint32_t block_bytes = 64U << 10;
constexpr std::size_t cells = 256;  // 16 blocks

struct Plan {
  std::size_t nodes = 2;
  std::size_t hosts = 1;
  bool stripe = false;
  std::uint32_t replicas = 0;
  int rounds = 40;
  bool damages = false;  ///< media rot
  bool grows = false;    ///< the operator makes the disk larger all the time
};

/// One run of one seed.
class Run {
 public:
  Run(std::uint64_t seed, const Plan& plan)
      : plan_(plan), world_(seed, plan.nodes, plan.hosts), guest_(world_, DiskName("d"), cells) {
    create();
    guest_.move_to(0);
    EXPECT_TRUE(world_.scheduler.run_until([&] { return guest_.is_open(); }, 30s));
  }

  void rounds() {
    for (int i = 0; i < plan_.rounds; ++i) {
      fault();
      work(world_.scheduler.between(1ms, 800ms));
    }
  }

  /// Everything is mended; the guest must get through, and all replicas must become equal.
  void settle() {
    mend();
    const bool quiet = world_.scheduler.run_until([&] { return guest_.under_way() == 0; }, 120s);
    EXPECT_TRUE(quiet) << guest_.under_way() << " operations never ended";
    EXPECT_TRUE(guest_.is_open());
    const bool healed = world_.scheduler.run_until([&] { return all_present(); }, 120s);
    EXPECT_TRUE(healed) << "a member was never healed";
    guest_.read_all();
    world_.scheduler.run_until([&] { return guest_.under_way() == 0; }, 60s);
    // A member that nobody had needed so far is only now found to be away, and healed.
    EXPECT_TRUE(world_.scheduler.run_until([&] { return all_present(); }, 120s));
    for (const auto& violation : guest_.violations()) ADD_FAILURE() << violation;
    EXPECT_EQ(grown_ > 0, plan_.grows);
    EXPECT_EQ(damaged_ > 0, plan_.damages);
    if (plan_.damages) {
      EXPECT_EQ(guest_.io_errors(), 0U);
    }
    expect_equal_replicas();
    guest_.close();
    world_.scheduler.run_for(10s);
  }

  std::uint64_t completed() const { return guest_.completed(); }

 private:
  template <class T>
  T wait(Task<T> task) {
    std::optional<T> value;
    spawn_into<T>(std::move(task), [&](T result) { value.emplace(std::move(result)); });
    EXPECT_TRUE(world_.scheduler.run_until([&] { return value.has_value(); }, 120s));
    return std::move(*value);
  }

  void create() {
    Placement placement;
    for (auto& node : world_.nodes) placement.nodes.push_back(node->id);
    placement.stripe = plan_.stripe;
    placement.replicas = plan_.replicas;
    placement = *check_placement(placement);
    const auto geometry = *make_geometry(cells * Guest::cell_bytes, block_bytes);
    pb::DiskRecord record;
    record.set_id(disk_.to_string());
    record.set_name("d");
    record.set_size(geometry.size_bytes);
    record.set_block_size(geometry.block_size_bytes);
    record.set_generation(1);
    for (const NodeId& node : placement.nodes) record.add_members()->set_node(node.str());
    map_ = make_map(geometry, placement);
    EXPECT_TRUE(wait(world_.hosts[0]->catalog->create_disk(record, map_)).ok());
  }

  void work(Duration time) {
    const TimePoint end = world_.scheduler.now() + time;
    while (world_.scheduler.now() < end) {
      guest_.act();
      if (plan_.grows && world_.scheduler.below(20) == 0) grow();
      world_.scheduler.run_for(world_.scheduler.between(10us, 2ms));
    }
  }

  /// By one block; nobody waits for it, and it may fail.
  void grow() {
    size_bytes_ += block_bytes;
    pb::ChangeDiskRequest request;
    request.set_disk_id(disk_.to_string());
    request.set_resize(size_bytes_);
    spawn_into<Result<pb::ChangeDiskReply>>(
        world_.hosts[host_]->disks->change_disk(std::move(request)),
        [this](const Result<pb::ChangeDiskReply>& done) { grown_ += done.ok() ? 1 : 0; });
  }

  void scrub() {
    pb::ScrubDiskRequest request;
    request.set_disk_id(disk_.to_string());
    pb::ScrubProgress found;
    const auto done = wait(world_.hosts[host_]->disks->scrub_disk(
        request, [&](const pb::ScrubProgress& progress) { return found = progress, true; }));
    EXPECT_TRUE(done.ok()) << done.error().what;
    EXPECT_EQ(found.damaged_units(), found.repaired_units());
  }

  /// Bits turn on one node, at rest and under load; what nobody reads is found by a scrub. As a
  /// single failure, and away from what a crash may have torn, so that it can be repaired.
  void damage(std::size_t node) {
    mend();
    world_.scheduler.run_until([&] { return all_present(); }, 60s);
    if (!guest_.is_open() || !all_present()) return;
    MemoryBlockStore& store = world_.nodes[node]->store;
    const std::uint64_t blocks = cells * Guest::cell_bytes / block_bytes;
    for (int i = 0; i < 20; ++i) {
      const BlockKey key{disk_, BlockIndex{world_.scheduler.below(blocks)}, Generation{1}};
      const auto known = *store.blocks(disk_);
      if (std::find(known.begin(), known.end(), key) == known.end()) continue;
      if (world_.scheduler.below(8) == 0) {
        store.lose_data(key);
      } else {
        store.corrupt(key, static_cast<std::uint32_t>(world_.scheduler.below(block_bytes)));
      }
      ++damaged_;
    }
    work(200ms);
    scrub();
    // A member that failed meanwhile was skipped, and healed of what it missed only.
    mend();
    EXPECT_TRUE(world_.scheduler.run_until([&] { return all_present(); }, 60s));
    scrub();
    const auto left = *store.blocks(disk_);
    for (const BlockKey& key : left) {
      EXPECT_TRUE(store.check(key, {0, block_bytes})->empty()) << raw(key.block);
    }
  }

  void fault() {
    if (plan_.damages && world_.scheduler.below(3) == 0)
      return damage(world_.scheduler.below(plan_.nodes));
    const std::size_t node = world_.scheduler.below(plan_.nodes);
    const std::string node_name = world_.nodes[node]->id.str();
    const std::string host_name = world_.hosts[host_]->id.str();
    switch (world_.scheduler.below(9)) {
      case 0:
        world_.kill(node);
        break;
      case 1:
      case 2:
        world_.start(node);
        break;
      case 3:
        cut(host_name, node_name);
        break;
      case 4:
        mend();
        break;
      case 5:
        power_cut(node);
        break;
      case 6:
        world_.hosts[host_]->coordination->suspend();
        break;
      case 7:
        world_.hosts[host_]->coordination->resume();
        break;
      case 8:
        take_over();
        break;
    }
  }

  void cut(const std::string& a, const std::string& b) {
    cuts_.insert({a, b});
    world_.cut(a, b);
  }

  /// Alone, and until it has been noticed and healed: a power cut together with another failure may
  /// cost what was acknowledged but not flushed (docs/failures.md), which the model does not
  /// follow.
  void power_cut(std::size_t node) {
    if (plan_.replicas == 1) return;
    mend();
    work(1s);
    if (!guest_.is_open() || !all_present()) return;
    world_.power_cut(node);
    work(world_.scheduler.between(0ms, 100ms));
    world_.start(node);
    work(3s);
    world_.scheduler.run_until([&] { return all_present(); }, 60s);
  }

  /// The host is cut off from everything but goes on; another one takes the disk.
  void take_over() {
    // Moving on before the lease has followed could bring the guest back to a host that still works
    // on requests of its former self: no guest comes back before those have ended.
    if (plan_.hosts < 2 || !guest_.is_open() || world_.scheduler.below(3) != 0) return;
    SimHost& old = *world_.hosts[host_];
    for (auto& node : world_.nodes) {
      if (world_.scheduler.below(2) == 0) cut(old.id.str(), node->id.str());
    }
    old.coordination->suspend();
    host_ = (host_ + 1) % plan_.hosts;
    world_.hosts[host_]->coordination->resume();
    guest_.move_to(host_);
  }

  void mend() {
    for (const auto& [a, b] : std::exchange(cuts_, {})) world_.heal(a, b);
    for (auto& host : world_.hosts) host->coordination->resume();
    for (std::size_t i = 0; i < plan_.nodes; ++i) world_.start(i);
    // A handle dies when the lease was lost to another host; a guest opens its disk again.
    if (!guest_.is_open()) world_.scheduler.run_until([&] { return guest_.is_open(); }, 60s);
  }

  bool all_present() {
    auto entry = wait(world_.hosts[0]->catalog->load_disk(disk_));
    if (!entry.ok()) return false;
    for (const pb::Member& member : entry->record.members()) {
      if (member.missing()) return false;
    }
    return true;
  }

  void expect_equal_replicas() {
    const MapSegmentView view(map_.front());
    for (std::uint64_t block = 0; block < cells * Guest::cell_bytes / block_bytes; ++block) {
      std::optional<std::string> first;
      for (const Location& location : view.locations(BlockIndex{block})) {
        const BlockKey key{disk_, BlockIndex{block}, Generation{1}};
        auto data = world_.find(location.node.str())->store.read(key, 0, block_bytes, false);
        const std::string bytes = data.ok() && *data ? (*data)->to_string() : "unreadable";
        if (!first) first = bytes;
        EXPECT_EQ(*first == bytes, true)
            << "block " << block << " differs on " << location.node.str();
      }
    }
  }

  const Plan plan_;
  World world_;
  Guest guest_;
  DiskId disk_{{1, 2, 3}};
  std::vector<pb::MapSegment> map_;
  std::set<std::pair<std::string, std::string>> cuts_;
  std::size_t host_ = 0;
  std::uint64_t size_bytes_ = cells * Guest::cell_bytes;
  std::uint64_t grown_ = 0;
  std::uint64_t damaged_ = 0;
};

std::uint64_t number(const char* variable, std::uint64_t otherwise) {
  const char* text = std::getenv(variable);
  return text == nullptr ? otherwise : std::strtoull(text, nullptr, 10);
}

void run_seeds(const Plan& plan, std::uint64_t seeds) {
  const std::uint64_t only = number("UKAI_SEED", 0);
  const std::uint64_t last = only != 0 ? only : number("UKAI_SEEDS", seeds);
  std::uint64_t operations = 0;
  for (std::uint64_t seed = only != 0 ? only : 1; seed <= last; ++seed) {
    Run run(seed, plan);
    run.rounds();
    run.settle();
    operations += run.completed();
    if (testing::Test::HasFailure()) {
      FAIL() << "replay with UKAI_SEED=" << seed;
    }
  }
  EXPECT_GT(operations, 100 * (only != 0 ? 1 : last)) << "the guest hardly worked";
}

TEST(DiskSimulation, keeps_every_acknowledged_write_on_two_replicas) {
  run_seeds({.nodes = 2, .hosts = 1}, 20);
}

TEST(DiskSimulation, keeps_every_acknowledged_write_on_three_replicas) {
  run_seeds({.nodes = 3, .hosts = 1}, 15);
}

TEST(DiskSimulation, keeps_every_acknowledged_write_on_stripes_of_two_replicas) {
  run_seeds({.nodes = 3, .hosts = 1, .stripe = true, .replicas = 2}, 15);
}

TEST(DiskSimulation, serves_a_single_replica_again_when_its_node_is_back) {
  run_seeds({.nodes = 1, .hosts = 1, .replicas = 1}, 15);
}

TEST(DiskSimulation, keeps_every_acknowledged_write_while_the_disk_grows) {
  run_seeds({.nodes = 3, .hosts = 1, .stripe = true, .replicas = 2, .rounds = 20, .grows = true},
            3);
}

TEST(DiskSimulation, never_returns_damage) {
  run_seeds({.nodes = 2, .hosts = 1, .rounds = 30, .damages = true}, 10);
}

TEST(DiskSimulation, never_lets_two_hosts_write) { run_seeds({.nodes = 2, .hosts = 2}, 25); }

}  // namespace
}  // namespace ukai::sim
