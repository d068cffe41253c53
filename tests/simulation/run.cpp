// SPDX-License-Identifier: BSD-2-Clause
#include "simulation/run.h"

#include <fmt/format.h>

namespace ukai::sim {

using namespace std::chrono_literals;

Run::Run(std::uint64_t seed, const Plan& plan, bool trace)
    : plan_(plan),
      world_({.seed = seed,
              .nodes = plan.nodes,
              .hosts = plan.hosts,
              .heal_rate_bytes_per_s = plan.heal_rate_bytes_per_s,
              .trace = trace,
              .jobs = plan.moves}),
      guest_(world_, DiskName("d"), block_bytes, blocks) {}

std::vector<std::string> Run::play() {
  create();
  guest_.move_to(0);
  if (plan_.readers) guest_.read_from(1);
  expect(until([&] { return guest_.is_open(); }, 30s), "the disk cannot be opened");
  for (int i = 0; i < plan_.rounds && guest_.violations().empty(); ++i) {
    fault();
    work(world_.scheduler.between(1ms, 500ms), 8ms);
    if (world_.scheduler.below(4) == 0) checkpoint("while things go wrong");
  }
  if (guest_.violations().empty()) settle();
  guest_.close();
  mend();
  world_.scheduler.run_for(5s);
  auto problems = guest_.violations();
  problems.insert(problems.end(), problems_.begin(), problems_.end());
  return problems;
}

void Run::create() {
  Placement placement;
  for (auto& node : world_.nodes) placement.nodes.push_back(node->id);
  placement.stripe = plan_.stripe;
  placement.replicas = plan_.replicas;
  placement = *check_placement(placement);
  const auto geometry = *make_geometry(size_bytes_, block_bytes);
  pb::DiskRecord record;
  record.set_id(disk_.to_string());
  record.set_name("d");
  record.set_size(geometry.size_bytes);
  record.set_block_size(geometry.block_size_bytes);
  record.set_generation(1);
  for (const NodeId& node : placement.nodes) record.add_members()->set_node(node.str());
  map_ = make_map(geometry, placement);
  // Orders to delete are left for nodes that are registered.
  for (const auto& node : world_.nodes) {
    pb::NodeRecord registered;
    registered.set_id(node->id.str());
    registered.set_store_id(node->id.str());
    const auto known =
        wait(world_.hosts[0]->catalog->register_node(std::move(registered), pb::NodeAlive()));
    expect(known && known->ok(), "a node cannot be registered");
  }
  for (const auto& host : world_.hosts) {
    if (plan_.migrates) record.add_allowed_hosts(host->id.str());
  }
  if (plan_.migrates) guest_.will_migrate();
  const auto made = wait(world_.hosts[0]->catalog->create_disk(record, map_));
  expect(made && made->ok(), "the disk cannot be created");
}

void Run::work(Duration time, Duration pause_max) {
  const TimePoint end = world_.scheduler.now() + time;
  while (world_.scheduler.now() < end && guest_.violations().empty()) {
    guest_.act();
    if (plan_.readers && world_.scheduler.below(4) == 0) guest_.act_reader();
    if (plan_.grows && world_.scheduler.below(20) == 0) grow();
    world_.scheduler.run_for(world_.scheduler.between(10us, pause_max));
  }
}

/// By one block; nobody waits for it, and it may fail.
void Run::grow() {
  size_bytes_ += block_bytes;
  pb::ChangeDiskRequest request;
  request.set_disk_id(disk_.to_string());
  request.set_resize(size_bytes_);
  spawn_into<Result<pb::ChangeDiskReply>>(
      host().disks->change_disk(std::move(request)),
      [this](const Result<pb::ChangeDiskReply>& done) { grown_ += done.ok() ? 1 : 0; });
}

/// Everything is mended: the guest must get through, at its usual pace, and all replicas must
/// become equal.
void Run::settle() {
  mend();
  // One in ten is cancelled.
  for (int i = 0; plan_.migrates && guest_.migrations() == 0 && i < 10; ++i) {
    guest_.migrate_to((guest_.host() + 1) % plan_.hosts);
    work(1s, 8ms);
  }
  if (plan_.calm) work(World::calm_after + 4s, 60ms);
  expect(until([&] { return quiet(); }, 120s),
         fmt::format("{} operations never ended", guest_.under_way()));
  if (!guest_.is_open()) until([&] { return guest_.is_open(); }, 60s);
  expect(guest_.is_open(), "the guest cannot open its disk again");
  expect(until([&] { return all_present(); }, 240s), "a member was never healed");
  // What two failures at once have lost is good again once it is written.
  if (plan_.damages && guest_.is_open()) guest_.write_all();
  expect(until([&] { return quiet(); }, 60s), "a write never ended");
  if (plan_.damages) scrub(false);
  if (plan_.snapshots) finish_snapshots();
  if (plan_.moves) finish_moves();
  guest_.flush();
  guest_.read_all();
  expect(until([&] { return quiet(); }, 60s), "a read never ended");
  // A member that nobody had needed so far is only now found to be away, and healed.
  expect(until([&] { return all_present(); }, 240s), "a member was never healed in the end");
  checkpoint("at the end");
  if (plan_.grows) expect(grown_ > 0, "the disk never grew");
  if (plan_.migrates) expect(guest_.migrations() > 0, "the guest can never migrate");
  const std::string damaged = damaged_blocks();
  expect(damaged.empty(), "at the end, " + damaged);
  const std::string unequal = unequal_replicas();
  expect(unequal.empty(), "O3: " + unequal);
  if (plan_.snapshots) {
    const std::string leftover = leftover_versions();
    expect(leftover.empty(), "O5: " + leftover);
  }
}

/// When every replica has just been needed, and the status calls the disk healthy, it is. Nodes
/// hold nothing that the map does not name, at any time.
void Run::checkpoint(const std::string& when) {
  if (plan_.moves && !refresh_map()) return;
  const std::string stray = stray_blocks();
  expect(stray.empty(), fmt::format("O5: {}, {}", stray, when));
  guest_.touch_all();
  if (!until([&] { return quiet(); }, 2s) || !says_healthy() || world_.damaged) return;
  if (plan_.moves && (moving_ > 0 || !refresh_map())) return;
  const std::string unequal = unequal_replicas();
  expect(unequal.empty(), fmt::format("O6: said to be healthy, but {}, {}", unequal, when));
}

}  // namespace ukai::sim
