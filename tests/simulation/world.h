// SPDX-License-Identifier: BSD-2-Clause
#pragma once

#include <deque>
#include <map>
#include <memory>
#include <set>
#include <string>
#include <vector>

#include "disk/host_disks.h"
#include "metadata/memory_coordination.h"
#include "simulation/machine_clock.h"
#include "store/memory_block_store.h"
#include "ukai/job_store.h"
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
  std::deque<IoRequest> changes;  ///< the last ones that arrived, to be repeated
};

/// One hypervisor host with its own connection to the metadata.
struct SimHost {
  HostId id;
  std::unique_ptr<MemoryCoordination> coordination;
  std::unique_ptr<Catalog> catalog;
  std::unique_ptr<NodeDirectory> directory;
  std::unique_ptr<HostPeers> peers;
  std::unique_ptr<HostDisks> disks;
  std::unique_ptr<JobStore> jobs;
  std::unique_ptr<Coordination::Watch> registration;  ///< says that it runs, in each session anew
};

struct WorldOptions {
  std::uint64_t seed = 1;
  std::size_t nodes = 2;
  std::size_t hosts = 1;
  std::uint64_t heal_rate_bytes_per_s = 0;
  bool trace = false;
  bool jobs = false;  ///< hosts run them
};

/// A whole UKAI on one thread: hosts, nodes, metadata, and the network between them. Everything
/// that happens follows from the seed.
///
/// The network delays and reorders. A cut, from one end to another, loses what is under way, or
/// holds it back and delivers it once the cut is healed (a late packet). When a session begins on a
/// node, some changes of those before arrive once more.
class World {
 public:
  explicit World(const WorldOptions& options);
  ~World();

  SimScheduler scheduler;

 private:
  std::map<std::string, std::unique_ptr<MachineClock>> machines_;  // outlive what runs on them

 public:
  MemoryZooKeeper tree;
  std::vector<std::unique_ptr<SimNode>> nodes;
  std::vector<std::unique_ptr<SimHost>> hosts;
  std::string cluster_id;

  // -- faults
  void kill(std::size_t node);
  void power_cut(std::size_t node);
  void start(std::size_t node);
  void cut(const std::string& from, const std::string& to);
  void heal_all();
  bool is_cut(const std::string& from, const std::string& to) const;
  MachineClock& machine(const std::string& id);
  void pause_host(std::size_t host);
  void resume_host(std::size_t host);
  std::uint64_t loss_percent = 0;  ///< of data requests and answers
  std::uint64_t power_losses = 0;  ///< how often all replicas may have lost what was not flushed

  // -- for the oracles
  static constexpr Duration calm_after = std::chrono::seconds(6);
  static constexpr Duration stall_max = std::chrono::milliseconds(1500);
  /// Something has gone wrong or was mended just now.
  void disturb(const std::string& what);
  TimePoint calm_since() const {
    return damaged ? TimePoint::max() - std::chrono::hours(1) : calm_since_;
  }
  bool damaged = false;  ///< something is, that nobody may have met yet, or that all have lost
  void trace(const std::string& line) const;

  // -- for the links
  SimNode* find(const std::string& id);
  Duration transit() { return scheduler.between(std::chrono::microseconds(50), latency_max); }
  bool lost() { return loss_percent > 0 && scheduler.below(100) < loss_percent; }
  void hold_back(const std::string& from, const std::string& to, Scheduler::Handler deliver);
  void note_change(SimNode& node, const IoRequest& request);
  void repeat_changes(const std::string& node, const std::string& disk);
  void subscribe(std::function<void(NodeId)>* listener) { listeners_.push_back(listener); }
  void unsubscribe(std::function<void(NodeId)>* listener) { std::erase(listeners_, listener); }
  std::shared_ptr<NodeLink> link(const std::string& from, const std::string& to);

  Duration latency_max = std::chrono::milliseconds(2);

 private:
  using Way = std::pair<std::string, std::string>;
  void add_machine(const std::string& id);
  void add_host(const std::string& id);
  static void register_host(SimHost& host);
  void tell(const NodeId& node);

  const WorldOptions options_;
  TimePoint calm_since_{};
  std::set<Way> cuts_;
  std::map<Way, std::vector<Scheduler::Handler>> late_;
  std::vector<std::function<void(NodeId)>*> listeners_;  ///< in an order that no address decides
  std::map<Way, std::shared_ptr<NodeLink>> links_;
};

}  // namespace ukai::sim
