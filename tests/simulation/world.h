// SPDX-License-Identifier: BSD-2-Clause
#pragma once

#include <map>
#include <memory>
#include <set>
#include <string>
#include <vector>

#include "disk/host_disks.h"
#include "metadata/memory_coordination.h"
#include "simulation/sim_scheduler.h"
#include "store/memory_block_store.h"
#include "ukai/storage_node.h"

namespace ukai::sim {

class World;

/// One storage node: its store outlives its process.
struct SimNode {
  NodeId id;
  MemoryBlockStore store;
  std::unique_ptr<StorageNode> process;  ///< null: not running
  std::uint64_t boots = 1;
  std::uint64_t incarnation = 0;
};

/// One hypervisor host with its own connection to the metadata.
struct SimHost {
  HostId id;
  std::unique_ptr<MemoryCoordination> coordination;
  std::unique_ptr<Catalog> catalog;
  std::unique_ptr<NodeDirectory> directory;
  std::unique_ptr<HostPeers> peers;
  std::unique_ptr<HostDisks> disks;
};

/// A whole UKAI on one thread: hosts, nodes, metadata, and the network between them. Everything
/// that happens follows from the seed.
///
/// The network delays and reorders; a cut between two ends loses what is under way, or holds it
/// back and delivers it once the cut is healed (a late packet).
class World {
 public:
  World(std::uint64_t seed, std::size_t nodes, std::size_t hosts);
  ~World();

  SimScheduler scheduler;
  MemoryZooKeeper tree;
  std::vector<std::unique_ptr<SimNode>> nodes;
  std::vector<std::unique_ptr<SimHost>> hosts;
  std::string cluster_id;

  // -- faults
  void kill(std::size_t node);
  void power_cut(std::size_t node);
  void start(std::size_t node);
  void cut(const std::string& a, const std::string& b);
  void heal(const std::string& a, const std::string& b);
  bool is_cut(const std::string& a, const std::string& b) const;

  // -- for the links
  SimNode* find(const std::string& id);
  Duration transit() { return scheduler.between(std::chrono::microseconds(50), latency_max); }
  void hold_back(const std::string& a, const std::string& b, Scheduler::Handler deliver);
  void subscribe(std::function<void(NodeId)>* listener) { listeners_.insert(listener); }
  void unsubscribe(std::function<void(NodeId)>* listener) { listeners_.erase(listener); }
  std::shared_ptr<NodeLink> link(const std::string& from, const std::string& to);

  Duration latency_max = std::chrono::milliseconds(2);

 private:
  void add_host(const std::string& id);
  void tell(const NodeId& node);
  static std::pair<std::string, std::string> ends(const std::string& a, const std::string& b);

  std::set<std::pair<std::string, std::string>> cuts_;
  std::map<std::pair<std::string, std::string>, std::vector<Scheduler::Handler>> late_;
  std::set<std::function<void(NodeId)>*> listeners_;
  std::map<std::pair<std::string, std::string>, std::shared_ptr<NodeLink>> links_;
};

}  // namespace ukai::sim
