// SPDX-License-Identifier: BSD-2-Clause
//
// The operator takes snapshots, clones and deletes them (F25), while the guest works and things go
// wrong. Whatever is frozen stays as it was at one moment.
#include <fmt/format.h>

#include <algorithm>
#include <cstring>

#include "simulation/run.h"
#include "ukai/history.h"

namespace ukai::sim {
namespace {

using namespace std::chrono_literals;
constexpr std::size_t snapshots_max = 4;

}  // namespace

void Run::snapshot_some() {
  if (frozen_.size() < snapshots_max && world_.scheduler.below(3) > 0) return take_snapshot();
  const auto dice = world_.scheduler.below(4);
  if (dice == 0) return delete_snapshot();
  if (dice == 1) return clone_some();
  for (const auto& frozen : frozen_) spawn(read_frozen(frozen));
}

void Run::take_snapshot() {
  auto frozen = std::make_shared<Frozen>();
  const std::string name = fmt::format("s{}", ++named_);
  frozen->file = "d@" + name;
  frozen->from = guest_.model().now();
  pb::TakeSnapshotsRequest request;
  auto* one = request.add_snapshots();
  one->set_disk_id(disk_.to_string());
  one->set_name(name);
  world_.disturb("operator: takes snapshot " + name);
  ++freezing_;
  spawn_into<Result<pb::TakeSnapshotsReply>>(
      host().disks->take_snapshots(std::move(request)),
      [this, frozen](const Result<pb::TakeSnapshotsReply>& done) {
        --freezing_;
        frozen->to = guest_.model().now();
        const std::string outcome = done.ok() ? "taken" : done.error().what;
        world_.trace("operator: " + frozen->file + ": " + outcome);
        if (done.ok()) frozen_.push_back(frozen);
      });
}

void Run::delete_snapshot() {
  if (frozen_.empty()) return;
  const auto at =
      frozen_.begin() + static_cast<std::ptrdiff_t>(world_.scheduler.below(frozen_.size()));
  pb::ChangeDiskRequest request;
  request.set_disk_id(disk_.to_string());
  request.set_delete_snapshot((*at)->file.substr(2));
  frozen_.erase(at);
  world_.disturb("operator: deletes snapshot " + request.delete_snapshot());
  spawn_into<Result<pb::ChangeDiskReply>>(
      host().disks->change_disk(std::move(request)),
      [this](const Result<pb::ChangeDiskReply>& done) {
        world_.trace("operator: deleted: " + (done.ok() ? std::string("done") : done.error().what));
      });
}

/// A disk of its own; it is read as long as it is there.
void Run::clone_some() {
  if (frozen_.empty() || !frozen_.front()->file.starts_with("d@")) return;
  auto frozen = std::make_shared<Frozen>(*frozen_.front());
  pb::CloneDiskRequest request;
  request.set_disk_id(disk_.to_string());
  request.set_snapshot(frozen->file.substr(2));
  frozen->file = fmt::format("c{}", ++named_);
  request.set_new_name(frozen->file);
  std::array<std::uint8_t, 16> id{9, static_cast<std::uint8_t>(named_)};
  request.set_new_disk_id(DiskId(id).to_string());
  world_.disturb("operator: clones " + request.snapshot() + " as " + frozen->file);
  spawn_into<Result<pb::CloneDiskReply>>(
      host().disks->clone_disk(std::move(request)),
      [this, frozen](const Result<pb::CloneDiskReply>& done) {
        world_.trace("operator: " + frozen->file + ": " +
                     (done.ok() ? std::string("cloned") : done.error().what));
        if (done.ok()) frozen_.push_back(frozen);
      });
}

Task<void> Run::read_frozen(std::shared_ptr<Frozen> frozen) {
  auto handle = co_await host().disks->open(DiskName(frozen->file), OpenMode::read_only);
  for (std::size_t cell = 0; handle.ok() && cell < guest_.cells(); ++cell) {
    auto data = co_await (*handle)->read(guest_.offset_of(cell), Guest::cell_bytes);
    if (!data.ok() || data->size() != Guest::cell_bytes) co_return;
    std::uint64_t value = 0;
    std::memcpy(&value, data->to_string().data(), sizeof value);
    const auto [seen, first] = frozen->seen.emplace(cell, value);
    if (seen->second != value) {
      expect(false, fmt::format("O1: {}: cell {} was {} and is {}", frozen->file, cell,
                                seen->second, value));
    }
    const bool fine = guest_.model().may_hold(cell, value, frozen->from, frozen->to);
    if (first && !fine) {
      expect(false, fmt::format("F25: {}: cell {} is {}, which it was not between {} and {}",
                                frozen->file, cell, value, frozen->from, frozen->to));
    }
  }
}

/// The disk is what it was then, all that was frozen stays as it is, and the guest begins anew.
void Run::roll_back_some() {
  const auto names = snapshot_names();
  if (names.empty()) return;
  const std::string name = names[world_.scheduler.below(names.size())];
  guest_.close();
  pb::ChangeDiskRequest request;
  request.set_disk_id(disk_.to_string());
  request.set_rollback(name);
  world_.disturb("operator: rolls back to " + name);
  const TimePoint patience = world_.scheduler.now() + 60s;
  auto done = wait(host().disks->change_disk(request));
  while (!(done && done->ok()) && world_.scheduler.now() < patience) {
    world_.scheduler.run_for(500ms);
    empty_trash(false);  // a job that waits for it has the disk open
    done = wait(host().disks->change_disk(request));
  }
  const bool rolled = done && done->ok();
  const std::string why = rolled ? "" : done ? done->error().what : "no answer";
  expect(rolled, fmt::format("cannot roll back to {}: {}", name, why));
  for (const auto& frozen : frozen_) {
    if (frozen->file != "d@" + name) continue;
    auto rolled_back = std::make_shared<Frozen>(*frozen);  // what it has seen, it must see again
    rolled_back->file = "d";
    reread(rolled_back);
  }
  for (const auto& frozen : frozen_) reread(frozen);
  guest_.move_to(host_);
  expect(until([&] { return guest_.is_open(); }, 60s),
         "the guest cannot open what was rolled back");
  guest_.write_all();
  expect(until([&] { return quiet(); }, 60s), "a write never ended after the rollback");
}

void Run::reread(const std::shared_ptr<Frozen>& frozen) {
  const auto over = std::make_shared<bool>(false);  // shared: the read may outlast the patience
  const auto read = [](Run& run, std::shared_ptr<Frozen> what,
                       std::shared_ptr<bool> done) -> Task<void> {
    co_await run.read_frozen(std::move(what));
    *done = true;
  };
  spawn(read(*this, frozen, over));
  expect(until([&] { return *over; }, 120s), frozen->file + " cannot be read after a rollback");
}

std::vector<std::string> Run::snapshot_names() {
  const auto entry = wait(host().catalog->load_disk(disk_));
  std::vector<std::string> out;
  if (!entry || !entry->ok()) return out;
  record_ = (*entry)->record;
  for (const pb::Snapshot& snapshot : record_.snapshots()) out.push_back(snapshot.name());
  return out;
}

/// All that was frozen can be read, and then all snapshots go, with what only they had.
void Run::finish_snapshots() {
  expect(until([&] { return guest_.is_open() && freezing_ == 0; }, 60s),
         "a snapshot is never taken");
  for (const auto& frozen : frozen_) {
    const auto read = wait(host().disks->open(DiskName(frozen->file), OpenMode::read_only));
    expect(read && read->ok(), frozen->file + " cannot be opened: " +
                                   (read ? (read->ok() ? "" : read->error().what) : "no answer"));
    spawn(read_frozen(frozen));
  }
  expect(until(
             [&] {
               return std::all_of(frozen_.begin(), frozen_.end(), [&](const auto& frozen) {
                 return frozen->seen.size() == guest_.cells();
               });
             },
             120s),
         "a snapshot or a clone cannot be read");
  roll_back_some();
  for (const std::string& name : snapshot_names()) {
    pb::ChangeDiskRequest request;
    request.set_disk_id(disk_.to_string());
    request.set_delete_snapshot(name);
    const auto done = wait(host().disks->change_disk(std::move(request)));
    expect(done && done->ok(), "snapshot " + name + " cannot be deleted");
  }
  world_.scheduler.run_for(2s);  // orders to delete are released
  empty_trash(true);
}

/// What the node's replica of the block reads as at a generation.
std::string Run::seen_content(const SimNode& node, BlockIndex block, Generation at) {
  std::vector<Generation> versions;
  for (const BlockKey& key : node.store.blocks(disk_)) {
    if (key.block == block) versions.push_back(key.generation);
  }
  const auto seen = History::from(record_)->seen(versions, at);
  return node.store.contents({disk_, block, seen.value_or(at)});
}

/// Without snapshots a block has one version at most, wherever it lies.
std::string Run::leftover_versions() {
  for (const auto& node : world_.nodes) {
    std::map<BlockIndex, int> versions;
    for (const BlockKey& key : node->store.blocks(disk_)) {
      if (raw(key.block) < blocks && ++versions[key.block] > 1) {
        return fmt::format("block {} has several versions on {}, and no snapshot needs them",
                           raw(key.block), node->id.str());
      }
    }
  }
  return "";
}

}  // namespace ukai::sim
