// SPDX-License-Identifier: BSD-2-Clause
//
// Media rot (faults.md, F12 and F13). Always as a failure of its own: what happens to be written
// around a crash, and is damaged as well, cannot be told from an unfinished write
// (docs/failures.md, "Known holes").
#include <fmt/format.h>

#include <algorithm>

#include "simulation/run.h"

namespace ukai::sim {

using namespace std::chrono_literals;

void Run::damage_fault() {
  if (!calm_down() || !all_is_good_again()) return;
  switch (world_.scheduler.below(4)) {
    case 0:
      return damage_at_rest();
    case 1:
      return damage_everywhere();
    default:
      return damage_one();
  }
}

/// True: every replica has just been needed and is in sync.
bool Run::calm_down() {
  mend();
  guest_.touch_all();
  return until([&] { return quiet() && all_present(); }, 30s) && says_healthy();
}

/// What two failures at once have lost (a member was away just then) is good once it is written,
/// and must not be expected of the next repair.
bool Run::all_is_good_again() {
  if (!world_.damaged) return true;
  guest_.write_all();
  until([&] { return quiet(); }, 30s);
  scrub(false);
  return !world_.damaged;
}

/// A bit turns in what the guest writes, or all of the data goes, as when a file is deleted, zeroed
/// or another's.
void Run::damage(SimNode& node, BlockIndex block, bool may_lose_all) {
  const BlockKey key{disk_, block, Generation{1}};
  const auto held = node.store.extents(key);
  if (!held.ok()) return;
  std::vector<std::uint32_t> units;
  for (const Extent& extent : *held) {
    for (std::uint32_t at = extent.begin_bytes; at < extent.end_bytes; at += BlockStore::unit_bytes)
      if (guest_.writes_to(raw(block) * block_bytes + at)) units.push_back(at);
  }
  if (units.empty()) return;
  world_.disturb(fmt::format("damage to block {} on {}", raw(block), node.id.str()));
  world_.damaged = true;
  if (may_lose_all && world_.scheduler.below(4) == 0) return node.store.lose_data(key);
  const std::uint32_t unit = units[world_.scheduler.below(units.size())];
  node.store.corrupt(
      key, unit + static_cast<std::uint32_t>(world_.scheduler.below(BlockStore::unit_bytes)));
}

/// Names the last change of who is present.
std::string Run::last_record_change() {
  const auto entry = wait(world_.hosts[host_]->catalog->load_disk(disk_));
  return entry && entry->ok() ? (*entry)->record.last_op() : "";
}

/// Under load, on one replica, while the others are in sync: the guest notices nothing, and a scrub
/// leaves nothing of it.
void Run::damage_one() {
  SimNode& node = *world_.nodes[any_node()];
  const std::string record = last_record_change();
  const std::uint64_t before = guest_.io_errors();
  const std::uint64_t times = 1 + world_.scheduler.below(4);
  for (std::uint64_t i = 0; i < times; ++i) {
    damage(node, BlockIndex{world_.scheduler.below(blocks)}, true);
    work(world_.scheduler.between(0ms, 50ms), 4ms);
  }
  if (last_record_change() != record || !says_healthy())
    return scrub(false);  // a late timeout, say
  expect(guest_.io_errors() == before, "EIO though another replica is good");
  scrub(true);
}

/// While the node is down, in what it has not changed lately: only the checksum can tell.
void Run::damage_at_rest() {
  guest_.flush();
  until([&] { return quiet(); }, 5s);
  world_.scheduler.run_for(8s);  // the nodes' logs are cleaned
  if (!says_healthy()) return;
  const std::size_t index = any_node();
  world_.kill(index);
  damage(*world_.nodes[index], BlockIndex{world_.scheduler.below(blocks)}, true);
  world_.start(index);
  if (!calm_down()) return;
  scrub(true);
}

/// The same block on all replicas: what both have lost is an error there and nowhere else, does not
/// keep a member from being healed, and is good again once it is written.
void Run::damage_everywhere() {
  const BlockIndex block{world_.scheduler.below(blocks)};
  for (const auto& node : world_.nodes) damage(*node, block, false);
  guest_.read_all();
  work(50ms, 4ms);
  if (world_.scheduler.below(2) == 0) {
    const std::size_t index = any_node();
    world_.kill(index);
    work(100ms, 4ms);
    world_.start(index);
  }
  until([&] { return quiet(); }, 30s);
  expect(until([&] { return all_present(); }, 60s), "damage keeps a member from being healed");
  if (!guest_.is_open()) return;
  guest_.write_all();
  until([&] { return quiet(); }, 30s);
  scrub(true);
}

/// Everything that is damaged is found and, as long as one replica is good, repaired.
void Run::scrub(bool all_repaired) {
  if (!guest_.is_open()) return;
  pb::ScrubDiskRequest request;
  request.set_disk_id(disk_.to_string());
  auto found = std::make_shared<pb::ScrubProgress>();
  const auto done = wait(host().disks->scrub_disk(request, [found](const pb::ScrubProgress& now) {
    *found = now;
    return true;
  }));
  // A disk that was lost meanwhile is scrubbed another time.
  if (!done || !done->ok() || !says_healthy()) return;
  const std::string damaged = damaged_blocks();
  if (damaged.empty()) world_.damaged = false;
  if (!all_repaired) return;
  expect(found->damaged_units() == found->repaired_units(),
         fmt::format("a scrub repaired {} of {} units", found->repaired_units(),
                     found->damaged_units()));
  expect(damaged.empty(), "after a scrub, " + damaged);
}

/// Empty: all checksums fit, on all nodes.
std::string Run::damaged_blocks() {
  for (const auto& node : world_.nodes) {
    for (const BlockKey& key : node->store.blocks(disk_)) {
      const auto bad = node->store.check(key, {0, block_bytes});
      if (bad.ok() && !bad->empty()) {
        return fmt::format("block {} on {} does not fit its checksum at {}", raw(key.block),
                           node->id.str(), bad->front().begin_bytes);
      }
    }
  }
  return "";
}

}  // namespace ukai::sim
