// SPDX-License-Identifier: BSD-2-Clause
#include "simulation/world.h"

#include <fmt/format.h>

#include <algorithm>

#include "simulation/sim_links.h"

namespace ukai::sim {
namespace {

using namespace std::chrono_literals;

constexpr Duration session_timeout = 4s;
constexpr std::size_t repeatable_changes = 16;

DiskOptions disk_options(const std::string& host, const std::string& cluster_id) {
  DiskOptions options;
  options.host = HostId(host);
  options.cluster_id = cluster_id;
  options.io_deadline = 500ms;
  options.io_wait = 20s;
  options.clean_interval = 3s;
  options.lease_linger = 200ms;
  options.hand_over_wait = 4s;
  return options;
}

}  // namespace

World::World(const WorldOptions& options) : scheduler(options.seed), options_(options) {
  for (std::size_t i = 1; i <= options.nodes; ++i) {
    auto node = std::make_unique<SimNode>();
    node->id = NodeId("n" + std::to_string(i));
    add_machine(node->id.str());
    nodes.push_back(std::move(node));
  }
  for (std::size_t i = 1; i <= options.hosts; ++i) add_host("h" + std::to_string(i));
  for (std::size_t i = 0; i < options.nodes; ++i) start(i);
}

World::~World() {
  for (auto& host : hosts) host->registration.reset();
  for (auto& host : hosts) {
    bool stopped = false;
    spawn(host->disks->shut_down(), [&stopped] { stopped = true; });
    scheduler.run_until([&stopped] { return stopped; }, 300s);
  }
  for (auto& node : nodes) node->process.reset();
  scheduler.run_for(60s);
  hosts.clear();
}

/// Clocks began up to a day apart and drift by up to one percent.
void World::add_machine(const std::string& id) {
  const double rate = 0.99 + static_cast<double>(scheduler.below(2001)) / 100000.0;
  const Duration began = scheduler.between(0s, 24h);
  machines_.emplace(id, std::make_unique<MachineClock>(scheduler, rate, began));
}

MachineClock& World::machine(const std::string& id) { return *machines_.at(id); }

void World::add_host(const std::string& id) {
  add_machine(id);
  Scheduler& clock = machine(id);
  auto host = std::make_unique<SimHost>();
  host->id = HostId(id);
  MemoryOptions options;
  options.session_timeout = session_timeout;
  options.request_timeout = 1s;
  host->coordination = std::make_unique<MemoryCoordination>(tree, clock, options);
  host->catalog = std::make_unique<Catalog>(*host->coordination, clock);
  bool made = false;
  spawn_into<Result<std::string>>(host->catalog->ensure_layout(), [&](Result<std::string> id_made) {
    cluster_id = *id_made;
    made = true;
  });
  scheduler.run_until([&made] { return made; }, 10s);
  host->directory = std::make_unique<SimDirectory>(*this, id);
  host->peers = std::make_unique<SimPeers>(*this, id);
  DiskOptions of_disks = disk_options(id, cluster_id);
  of_disks.heal_rate_bytes_per_s = options_.heal_rate_bytes_per_s;
  host->disks = make_host_disks({*host->catalog, *host->directory, clock, *host->peers}, of_disks);
  host->jobs = std::make_unique<JobStore>(*host->coordination, clock);
  if (options_.jobs) host->disks->run_jobs();
  register_host(*host);
  host->registration = host->coordination->on_session([self = host.get()](SessionState state) {
    if (state == SessionState::connected) register_host(*self);
  });
  hosts.push_back(std::move(host));
}

void World::register_host(SimHost& host) {
  pb::HostRecord record;
  record.set_id(host.id.str());
  record.set_incarnation(1);
  spawn_into<Result<>>(host.catalog->register_host(record, true), [](const Result<>&) {});
}

SimNode* World::find(const std::string& id) {
  for (auto& node : nodes) {
    if (node->id.str() == id) return node.get();
  }
  return nullptr;
}

void World::trace(const std::string& line) const {
  if (!options_.trace) return;
  const auto since = scheduler.now().time_since_epoch();
  fmt::print(stderr, "{:10.6f} {}\n", std::chrono::duration<double>(since).count(), line);
}

void World::disturb(const std::string& what) {
  trace("fault: " + what);
  calm_since_ = scheduler.now();
}

// -- nodes

void World::tell(const NodeId& node) {
  for (auto* listener : listeners_) {
    scheduler.post([this, listener, node] {
      const auto found = std::find(listeners_.begin(), listeners_.end(), listener);
      if (found != listeners_.end()) (*listener)(node);
    });
  }
}

void World::kill(std::size_t index) {
  SimNode& node = *nodes[index];
  disturb("kill " + node.id.str());
  node.process.reset();
  node.store.restart_process();
  machine(node.id.str()).resume();
  tell(node.id);
}

void World::power_cut(std::size_t index) {
  SimNode& node = *nodes[index];
  disturb("power cut of " + node.id.str());
  node.process.reset();
  node.store.power_cut(scheduler.random()());
  node.boots += 1;
  machine(node.id.str()).resume();
  tell(node.id);
}

void World::start(std::size_t index) {
  SimNode& node = *nodes[index];
  if (node.process) return;
  disturb("start " + node.id.str());
  node.incarnation += 1;
  StorageNodeOptions options;
  options.id = node.id;
  options.cluster_id = cluster_id;
  options.boot_id = node.id.str() + "-boot" + std::to_string(node.boots);
  options.incarnation = node.incarnation;
  options.peers = [this, self = node.id.str()](const pb::PullRequest& request) {
    return link(self, request.source_node());
  };
  node.process = std::make_unique<StorageNode>(node.store, machine(node.id.str()), options);
  tell(node.id);
}

// -- hosts

/// ZooKeeper ends the session of a host that does not run, after its timeout.
void World::pause_host(std::size_t index) {
  SimHost& host = *hosts[index];
  MachineClock& clock = machine(host.id.str());
  if (clock.paused()) return;
  disturb("pause " + host.id.str());
  clock.pause();
  scheduler.after(session_timeout, [&host, &clock] {
    if (clock.paused()) host.coordination->expire_session();
  });
}

void World::resume_host(std::size_t index) {
  MachineClock& clock = machine(hosts[index]->id.str());
  if (!clock.paused()) return;
  disturb("resume " + hosts[index]->id.str());
  clock.resume();
}

// -- the network

void World::cut(const std::string& from, const std::string& to) {
  disturb("cut " + from + " -> " + to);
  cuts_.insert({from, to});
}

bool World::is_cut(const std::string& from, const std::string& to) const {
  return cuts_.contains({from, to});
}

void World::heal_all() {
  disturb("heal all links");
  cuts_.clear();
  for (auto& [way, late] : std::exchange(late_, {})) {
    for (auto& deliver : late) scheduler.after(transit(), std::move(deliver));
  }
}

void World::hold_back(const std::string& from, const std::string& to, Scheduler::Handler deliver) {
  if (scheduler.below(2) == 0) late_[{from, to}].push_back(std::move(deliver));
}

void World::note_change(SimNode& node, const IoRequest& request) {
  if (request.op != IoOp::write && request.op != IoOp::zero) return;
  node.changes.push_back(request);
  if (node.changes.size() > repeatable_changes) node.changes.pop_front();
}

void World::repeat_changes(const std::string& id, const std::string& disk) {
  SimNode& node = *find(id);
  for (IoRequest& change : std::exchange(node.changes, {})) {
    // Of another disk, whose session goes on: its stream has not been broken.
    if (change.disk.to_string() != disk) continue;
    if (scheduler.below(3) != 0) continue;
    const Duration late = scheduler.between(0ms, 1s);
    scheduler.after(late, [&node, change = std::move(change)] {
      if (node.process) static_cast<void>(node.process->handle(change, false));
    });
  }
}

std::shared_ptr<NodeLink> World::link(const std::string& from, const std::string& to) {
  auto& slot = links_[{from, to}];
  if (!slot) slot = std::make_shared<SimLink>(*this, from, to);
  return slot;
}

}  // namespace ukai::sim
