// SPDX-License-Identifier: BSD-2-Clause
#include "simulation/world.h"

#include "simulation/sim_links.h"

namespace ukai::sim {
namespace {

using namespace std::chrono_literals;

DiskOptions disk_options(const std::string& host, const std::string& cluster_id) {
  DiskOptions options;
  options.host = HostId(host);
  options.cluster_id = cluster_id;
  options.io_deadline = 500ms;
  options.io_wait = 20s;
  options.clean_interval = 3s;
  options.lease_linger = 200ms;
  return options;
}

}  // namespace

World::World(std::uint64_t seed, std::size_t node_count, std::size_t host_count) : scheduler(seed) {
  for (std::size_t i = 1; i <= node_count; ++i) {
    auto node = std::make_unique<SimNode>();
    node->id = NodeId("n" + std::to_string(i));
    nodes.push_back(std::move(node));
  }
  for (std::size_t i = 1; i <= host_count; ++i) add_host("h" + std::to_string(i));
  for (std::size_t i = 0; i < node_count; ++i) start(i);
}

World::~World() {
  for (auto& host : hosts) {
    bool stopped = false;
    spawn(host->disks->shut_down(), [&stopped] { stopped = true; });
    scheduler.run_until([&stopped] { return stopped; }, 300s);
  }
  for (auto& node : nodes) node->process.reset();
  scheduler.run_for(60s);
  hosts.clear();
}

void World::add_host(const std::string& id) {
  auto host = std::make_unique<SimHost>();
  host->id = HostId(id);
  MemoryOptions options;
  options.session_timeout = 4s;
  options.request_timeout = 1s;
  host->coordination = std::make_unique<MemoryCoordination>(tree, scheduler, options);
  host->catalog = std::make_unique<Catalog>(*host->coordination, scheduler);
  bool made = false;
  spawn_into<Result<std::string>>(host->catalog->ensure_layout(), [&](Result<std::string> id_made) {
    cluster_id = *id_made;
    made = true;
  });
  scheduler.run_until([&made] { return made; }, 10s);
  host->directory = std::make_unique<SimDirectory>(*this, id);
  host->peers = std::make_unique<SimPeers>(*this, id);
  host->disks = make_host_disks({*host->catalog, *host->directory, scheduler, *host->peers},
                                disk_options(id, cluster_id));
  hosts.push_back(std::move(host));
}

SimNode* World::find(const std::string& id) {
  for (auto& node : nodes) {
    if (node->id.str() == id) return node.get();
  }
  return nullptr;
}

void World::tell(const NodeId& node) {
  for (auto* listener : listeners_) {
    scheduler.post([this, listener, node] {
      if (listeners_.contains(listener)) (*listener)(node);
    });
  }
}

void World::kill(std::size_t index) {
  SimNode& node = *nodes[index];
  node.process.reset();
  node.store.restart_process();
  tell(node.id);
}

void World::power_cut(std::size_t index) {
  SimNode& node = *nodes[index];
  node.process.reset();
  node.store.power_cut(scheduler.random()());
  node.boots += 1;
  tell(node.id);
}

void World::start(std::size_t index) {
  SimNode& node = *nodes[index];
  if (node.process) return;
  node.incarnation += 1;
  StorageNodeOptions options;
  options.id = node.id;
  options.cluster_id = cluster_id;
  options.boot_id = node.id.str() + "-boot" + std::to_string(node.boots);
  options.incarnation = node.incarnation;
  options.peers = [this, self = node.id.str()](const pb::PullRequest& request) {
    return link(self, request.source_node());
  };
  node.process = std::make_unique<StorageNode>(node.store, scheduler, options);
  tell(node.id);
}

std::pair<std::string, std::string> World::ends(const std::string& a, const std::string& b) {
  return a < b ? std::pair(a, b) : std::pair(b, a);
}

void World::cut(const std::string& a, const std::string& b) { cuts_.insert(ends(a, b)); }

bool World::is_cut(const std::string& a, const std::string& b) const {
  return cuts_.contains(ends(a, b));
}

void World::heal(const std::string& a, const std::string& b) {
  cuts_.erase(ends(a, b));
  auto late = late_.extract(ends(a, b));
  if (late.empty()) return;
  for (auto& deliver : late.mapped()) scheduler.after(transit(), std::move(deliver));
}

void World::hold_back(const std::string& a, const std::string& b, Scheduler::Handler deliver) {
  if (scheduler.below(2) == 0) late_[ends(a, b)].push_back(std::move(deliver));
}

std::shared_ptr<NodeLink> World::link(const std::string& from, const std::string& to) {
  auto& slot = links_[{from, to}];
  if (!slot) slot = std::make_shared<SimLink>(*this, from, to);
  return slot;
}

}  // namespace ukai::sim
