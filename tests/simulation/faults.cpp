// SPDX-License-Identifier: BSD-2-Clause
//
// What goes wrong in a run, and how it is mended.
#include "simulation/run.h"

namespace ukai::sim {

using namespace std::chrono_literals;

void Run::fault() {
  host_ = guest_.host();
  if (plan_.migrates && world_.scheduler.below(2) == 0) {
    guest_.migrate_to((host_ + 1) % plan_.hosts);
    // What follows happens at any of its steps.
    return work(world_.scheduler.between(0ms, 40ms), 2ms);
  }
  if (plan_.moves || plan_.snapshots) empty_trash(false);
  if (plan_.snapshots && world_.scheduler.below(2) == 0) return snapshot_some();
  if (plan_.moves && world_.scheduler.below(2) == 0) return move_some();
  if (plan_.damages && world_.scheduler.below(3) == 0) return damage_fault();
  switch (world_.scheduler.below(8)) {
    case 0:
    case 1:
      return node_fault();
    case 2:
      return network_fault();
    case 3:
      return host_fault();
    case 4:
      return plan_.bad_metadata ? metadata_fault() : node_fault();
    case 5:
      return plan_.bad_disks ? disk_fault() : network_fault();
    case 6:
      return plan_.power ? power_fault() : isolated_power_cut();
    default:
      return mend();
  }
}

void Run::node_fault() {
  const std::size_t node = any_node();
  MachineClock& machine = world_.machine(world_.nodes[node]->id.str());
  switch (world_.scheduler.below(5)) {
    case 0:
    case 1:
      return world_.kill(node);
    case 2:
      world_.disturb("pause " + world_.nodes[node]->id.str());
      return machine.pause();
    default:
      machine.resume();
      return world_.start(node);
  }
}

void Run::network_fault() {
  const std::string host = this->host().id.str();
  const std::string node = world_.nodes[any_node()]->id.str();
  const std::string other = world_.nodes[any_node()]->id.str();
  switch (world_.scheduler.below(6)) {
    case 0:
      world_.cut(host, node);
      return world_.cut(node, host);
    case 1:
      return world_.cut(host, node);
    case 2:
      return world_.cut(node, host);
    case 3:
      return world_.cut(node, other);
    case 4:
      world_.disturb("some packets are lost");
      world_.loss_percent = 2;
      return;
    default:
      return world_.heal_all();
  }
}

void Run::host_fault() {
  MemoryCoordination& metadata = *host().coordination;
  switch (world_.scheduler.below(7)) {
    case 0:
      world_.disturb("metadata connection lost");
      return metadata.suspend();
    case 1:
      world_.disturb("metadata connection back");
      return metadata.resume();
    case 2:
      world_.disturb("session expired");
      return metadata.expire_session();
    case 3: {
      world_.pause_host(host_);
      const Duration time = world_.scheduler.between(10ms, 7s);
      world_.scheduler.run_for(time);
      return world_.resume_host(host_);
    }
    case 4:
      return split();
    default:
      return take_over();
  }
}

void Run::metadata_fault() {
  MemoryCoordination& metadata = *host().coordination;
  switch (world_.scheduler.below(6)) {
    case 0:
      world_.disturb("metadata frozen");
      return metadata.freeze();
    case 1:
      world_.disturb("metadata thawed");
      return metadata.thaw();
    case 2:
      world_.disturb("metadata answers get lost");
      return metadata.set_change_fault([this](const std::vector<Op>&) {
        constexpr ChangeFault faults[] = {ChangeFault::lose_request, ChangeFault::lose_reply,
                                          ChangeFault::none, ChangeFault::none};
        return faults[world_.scheduler.below(4)];
      });
    case 3:
      world_.disturb("metadata answers with the past");
      return metadata.lag();
    case 4:
      return unsteady_return();
    default:
      world_.disturb("metadata answers with the present");
      return metadata.catch_up();
  }
}

/// A node comes back, and is gone again just as ZooKeeper has been told that it is healed, before
/// the host has heard of it. Then the host is gone, too.
void Run::unsteady_return() {
  mend();
  const std::size_t node = any_node();
  world_.kill(node);
  work(1s, 20ms);
  world_.disturb("metadata applies changes and does not answer");
  host().coordination->set_change_fault([](const std::vector<Op>&) { return ChangeFault::hang; });
  world_.start(node);
  work(world_.scheduler.between(1ms, 300ms), 4ms);
  world_.kill(node);
  work(world_.scheduler.between(1ms, 300ms), 4ms);
  const bool dies = world_.scheduler.below(2) == 0;
  if (dies) take_over();
  for (auto& host : world_.hosts) host->coordination->set_change_fault(nullptr);
  world_.start(node);
}

void Run::disk_fault() {
  using Op = MemoryBlockStore::Op;
  SimNode& node = *world_.nodes[any_node()];
  const int times = 1 + static_cast<int>(world_.scheduler.below(3));
  world_.disturb("a disk fault on " + node.id.str());
  switch (world_.scheduler.below(7)) {
    case 0:
      return node.store.fail_next(Op::write, Code::io, times);
    case 1:
      return node.store.fail_next(Op::read, Code::io, times);
    case 2:
      return node.store.fail_next(Op::flush, Code::io, 1);
    case 3:
      return node.store.fail_next(Op::append_file, Code::io, times);
    case 4:
      return node.store.fail_next(Op::read, Code::corrupt, times);
    case 5:
      return node.store.set_capacity(0);
    default:
      return node.store.set_capacity(1ULL << 40);
  }
}

void Run::power_fault() {
  switch (world_.scheduler.below(3)) {
    case 0:
      return isolated_power_cut();
    case 1:
      return blackout();
    default: {
      // Together with whatever else is wrong: only what was flushed is sure.
      guest_.model().power_lost();
      ++world_.power_losses;
      const std::size_t node = any_node();
      world_.power_cut(node);
      if (world_.scheduler.below(2) == 0) world_.start(node);
    }
  }
}

/// Alone, and until it has been noticed and healed: nothing that was acknowledged may be lost. (A
/// power cut together with another failure: docs/failures.md, "Known holes".)
void Run::isolated_power_cut() {
  const bool only_copy = plan_.replicas == 1 || plan_.nodes == 1;
  if (only_copy && !plan_.power) return;
  mend();
  work(1s, 20ms);
  guest_.touch_all();
  if (!until([&] { return quiet(); }, 2s) || !says_healthy()) return;
  const std::size_t node = any_node();
  work(10ms, 1ms);
  if (!all_present()) return;
  if (plan_.moves && !all_in_sync_twice()) return;
  if (only_copy) {
    guest_.model().power_lost();
    ++world_.power_losses;
  }
  world_.power_cut(node);
  if (world_.scheduler.below(2) == 0) {
    work(world_.scheduler.between(0ms, 100ms), 4ms);
    world_.start(node);
  } else {
    // The first to notice is a read, so the node comes back before a write has set it aside.
    until([&] { return quiet(); }, 1s);
    world_.start(node);
    guest_.read_all();
    until([&] { return quiet(); }, 2s);
  }
  work(500ms, 10ms);
  until([&] { return all_present(); }, 60s);
}

void Run::blackout() {
  guest_.model().power_lost();
  ++world_.power_losses;
  for (std::size_t i = 0; i < plan_.nodes; ++i) world_.power_cut(i);
  work(world_.scheduler.between(0ms, 500ms), 8ms);
  for (std::size_t i = 0; i < plan_.nodes; ++i) {
    if (world_.scheduler.below(3) != 0) world_.start(i);
  }
}

/// The host is cut off from some things but goes on; another one takes the disk.
void Run::take_over() {
  if (plan_.hosts < 2 || !guest_.is_open()) return;
  const SimHost& old = host();
  for (const auto& node : world_.nodes) {
    if (world_.scheduler.below(2) == 0) world_.cut(old.id.str(), node->id.str());
  }
  work(world_.scheduler.between(0ms, 20ms), 2ms);
  const std::size_t next = (host_ + 1) % plan_.hosts;
  if (world_.scheduler.below(2) == 0) {
    world_.cut(world_.hosts[next]->id.str(), old.id.str());
    old.coordination->suspend();
    // As if it were dead: changes that are under way are on some replicas only.
    if (world_.scheduler.below(2) == 0) old.coordination->expire_session();
  }
  world_.disturb("the guest moves");
  host_ = next;
  host().coordination->resume();
  guest_.move_to(host_);
}

/// The network splits: the host keeps its nodes and loses ZooKeeper; another host has ZooKeeper and
/// not all the nodes, and takes over as soon as it may.
void Run::split() {
  if (plan_.hosts < 2 || !guest_.is_open()) return;
  mend();
  const std::size_t next = (host_ + 1) % plan_.hosts;
  const std::string node = world_.nodes[any_node()]->id.str();
  world_.cut(world_.hosts[next]->id.str(), node);
  world_.cut(node, world_.hosts[next]->id.str());
  world_.cut(world_.hosts[next]->id.str(), host().id.str());
  world_.disturb("the network splits");
  host().coordination->suspend();
  work(world_.scheduler.between(0ms, 3s), 20ms);
  guest_.leave_witness();
  host_ = next;
  guest_.move_to(host_);
  for (int i = 0; i < 3; ++i) {
    work(world_.scheduler.between(1s, 3s), 20ms);
    world_.disturb("the network is split");
  }
}

void Run::mend() {
  guest_.dismiss_witness();
  world_.heal_all();
  world_.loss_percent = 0;
  for (std::size_t i = 0; i < plan_.hosts; ++i) {
    MemoryCoordination& metadata = *world_.hosts[i]->coordination;
    world_.resume_host(i);
    metadata.set_change_fault(nullptr);
    metadata.thaw();
    metadata.catch_up();
    metadata.resume();
  }
  for (std::size_t i = 0; i < plan_.nodes; ++i) {
    SimNode& node = *world_.nodes[i];
    node.store.stop_failing();
    node.store.set_capacity(1ULL << 40);
    world_.machine(node.id.str()).resume();
    world_.start(i);
  }
  // A handle dies when the lease was lost to another host; a guest opens its disk again.
  if (!guest_.is_open()) until([&] { return guest_.is_open(); }, 60s);
}

}  // namespace ukai::sim
