// SPDX-License-Identifier: BSD-2-Clause
//
// The operator gives blocks locations, takes them off and brings them in sync (F7, F9), while the
// guest works and things go wrong.
#include <fmt/format.h>

#include <algorithm>

#include "simulation/run.h"

namespace ukai::sim {

using namespace std::chrono_literals;

void Run::move_some() {
  if (world_.scheduler.below(2) == 0) return ask_for_job();
  if (world_.scheduler.below(8) == 0) return cancel_a_job();
  pb::ChangeDiskRequest request;
  request.set_disk_id(disk_.to_string());
  const bool adds = world_.scheduler.below(2) == 0;
  pb::LocationChange* change =
      adds ? request.mutable_add_locations() : request.mutable_remove_locations();
  const std::string node = world_.nodes[any_node()]->id.str();
  change->add_nodes(node);
  const std::uint64_t begin = world_.scheduler.below(3) == 0 ? world_.scheduler.below(blocks) : 0;
  change->set_begin(begin);
  change->set_end(begin == 0 ? blocks : begin + 1 + world_.scheduler.below(blocks - begin));
  // Time has passed over the orders, with whatever is wrong at the moment: it is no calm.
  world_.disturb(std::string("operator: ") + (adds ? "adds " : "removes ") + node);
  const std::string what = std::string(adds ? "added " : "removed ") + node;
  ++moving_;
  spawn_into<Result<pb::ChangeDiskReply>>(
      host().disks->change_disk(std::move(request)),
      [this, what](const Result<pb::ChangeDiskReply>& done) {
        --moving_;
        world_.trace("operator: " + what + ": " + (done.ok() ? "done" : done.error().what));
        moved_ += done.ok() ? 1 : 0;
      });
}

/// As an operator who asks for something and leaves.
void Run::ask_for_job() {
  pb::JobRecord job;
  const std::uint64_t begin = world_.scheduler.below(3) == 0 ? world_.scheduler.below(blocks) : 0;
  const std::string to = world_.nodes[any_node()]->id.str();
  const std::string from = world_.nodes[any_node()]->id.str();
  switch (from == to ? 0 : world_.scheduler.below(4)) {
    case 0:
      job.set_kind(pb::JobRecord::SYNC);
      break;
    case 1:
      job.set_kind(pb::JobRecord::REPLICATE);
      break;
    default:
      job.set_kind(pb::JobRecord::RELOCATE);
  }
  if (job.kind() != pb::JobRecord::SYNC) {
    pb::JobMove* move = job.add_moves();
    move->set_to(to);
    if (job.kind() == pb::JobRecord::RELOCATE) move->set_from(from);
    move->set_begin(begin);
    move->set_end(blocks);
  }
  JobStore& store = *host().jobs;
  const auto made = wait(store.create(disk_, job));
  if (!made || !made->ok()) return;
  world_.disturb(fmt::format("operator: job {} {} {} -> {}", (*made)->record.id(),
                             pb::JobRecord::Kind_Name(job.kind()), from, to));
}

/// Jobs that have not ended are cancelled now and then.
void Run::cancel_a_job() {
  JobStore& store = *host().jobs;
  const auto active = wait(store.active());
  if (!active || !active->ok() || (*active)->empty()) return;
  auto entry = wait(store.load((*active)->front()));
  if (!entry || !entry->ok()) return;
  pb::JobRecord changed = (*entry)->record;
  changed.set_cancel(true);
  const auto done = wait(store.update(**entry, changed));
  world_.disturb("operator: cancels job " + changed.id() + (done && done->ok() ? "" : ", perhaps"));
}

/// As the nodes' daemons do.
void Run::empty_trash(bool leases_are_over) {
  world_.disturb("nodes delete what they are told to");
  for (const auto& node : world_.nodes) {
    if (!node->process) continue;
    auto orders = wait(host().catalog->trash_of(node->id));
    if (!orders || !orders->ok()) continue;
    for (Catalog::Trash& order : **orders) {
      // As after limits::lease_end_patience.
      const auto disk = wait(host().catalog->load_disk(disk_));
      const bool over = disk && disk->ok() && (*disk)->record.epoch() > order.record.epoch();
      if (leases_are_over && over) order.record.set_released(true);
      if (!node->process || !node->process->delete_blocks(order.record).ok()) continue;
      static_cast<void>(wait(host().catalog->remove_trash(node->id, order.key)));
    }
    clear_left(*node);
  }
}

/// A node whose last location of the disk went under an earlier lease forgets it.
void Run::clear_left(SimNode& node) {
  const auto disk = wait(host().catalog->load_disk(disk_));
  if (!disk || !disk->ok() || !node.process) return;
  const auto& members = (*disk)->record.members();
  const bool named = std::any_of(members.begin(), members.end(), [&](const pb::Member& member) {
    return member.node() == node.id.str();
  });
  if (named || node.process->left_disks().empty()) return;
  if (node.process->delete_left(disk_).ok()) world_.disturb(node.id.str() + " forgets the disk");
}

/// A power cut of any one machine leaves a replica of each block that has everything.
bool Run::all_in_sync_twice() {
  if (moving_ > 0 || !refresh_map()) return false;
  for (std::uint64_t block = 0; block < blocks; ++block) {
    const auto locations = locations_of(BlockIndex{block});
    const auto good = std::count_if(
        locations.begin(), locations.end(),
        [](const Location& location) { return location.status == SyncStatus::in_sync; });
    if (good < 2) return false;
  }
  return true;
}

/// False: it could not be read now.
bool Run::refresh_map() {
  const auto segment = wait(host().catalog->load_segment(disk_, 0));
  if (!segment || !segment->ok()) return false;
  map_ = {(*segment)->segment};
  return true;
}

bool Run::jobs_have_ended() {
  empty_trash(true);  // a node gets nothing anew before
  JobStore& store = *host().jobs;
  const auto active = wait(store.active());
  return active && active->ok() && (*active)->empty();
}

bool Run::orders_are_left() {
  return std::any_of(world_.nodes.begin(), world_.nodes.end(), [&](const auto& node) {
    const auto orders = wait(host().catalog->trash_of(node->id));
    return !orders || !orders->ok() || !(*orders)->empty();
  });
}

/// Whatever the operator has asked for is there in the end.
void Run::finish_moves() {
  expect(until([&] { return guest_.is_open(); }, 60s), "the guest cannot open its disk again");
  JobStore& store = *host().jobs;
  pb::JobRecord job;
  const auto made = wait(store.create(disk_, job));
  expect(made && made->ok(), "a last sync cannot be asked for");
  expect(until([&] { return jobs_have_ended(); }, 200s), "a job never ends");
  world_.scheduler.run_for(2s);  // orders to delete are released
  empty_trash(true);
  expect(!orders_are_left(), "an order to delete is never carried out");
  expect(refresh_map(), "the map cannot be read");
  for (const pb::ReplicaSet& set : map_.front().sets()) {
    const bool behind = std::any_of(set.status().begin(), set.status().end(),
                                    [](std::uint32_t status) { return status != 0; });
    expect(!behind, "a location is out of sync in the end");
  }
}

}  // namespace ukai::sim
