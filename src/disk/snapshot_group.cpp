// SPDX-License-Identifier: BSD-2-Clause
#include "disk/snapshot_group.h"

#include <fmt/format.h>

#include <algorithm>

#include "ukai/snapshot_change.h"

namespace ukai {
namespace {

using namespace std::chrono_literals;
constexpr Duration pause_between_tries = 50ms;

using Disks = std::vector<std::shared_ptr<Disk>>;

Task<Result<>> for_all(std::vector<Task<Result<>>> tasks) {
  auto done = co_await gather(std::move(tasks));
  for (const Result<>& one : done) {
    if (!one) co_return one;
  }
  co_return Unit{};
}

/// One try to freeze all of them. What they were frozen at, in their order; empty: not now.
Task<std::vector<Generation>> freeze_once(Scheduler& scheduler, const Disks& disks) {
  const TimePoint until = scheduler.now() + limits::snapshot_hold;
  std::vector<RangeLocks::Guard> guards;
  guards.reserve(disks.size());
  std::vector<Generation> frozen;
  for (const auto& disk : disks) {
    auto guard = co_await disk->snapshots().hold(until);
    if (!guard.holds()) co_return frozen;
    guards.push_back(std::move(guard));
  }
  for (const auto& disk : disks) frozen.push_back(disk->snapshots().switch_over());
  co_return frozen;
}

/// Frozen and durable.
struct Frozen {
  std::vector<Generation> generations;
  Duration held{};
};

Task<Result<Frozen>> freeze(Scheduler& scheduler, Disks disks) {
  std::vector<Task<Result<>>> preparing;
  for (const auto& disk : disks) preparing.push_back(disk->snapshots().prepare());
  auto prepared = co_await for_all(std::move(preparing));
  if (!prepared) co_return prepared.error();
  Frozen out;
  for (int i = 0; i < limits::snapshot_tries && out.generations.empty(); ++i) {
    if (i > 0) co_await sleep_for(scheduler, pause_between_tries);
    const TimePoint begin = scheduler.now();
    out.generations = co_await freeze_once(scheduler, disks);
    out.held = scheduler.now() - begin;
  }
  if (out.generations.empty()) {
    co_return Error{Code::busy,
                    "changes that are under way do not end in time: is a node slow or away?"};
  }
  std::vector<Task<Result<>>> sealing;
  for (const auto& disk : disks) sealing.push_back(disk->snapshots().seal());
  auto sealed = co_await for_all(std::move(sealing));
  if (!sealed) co_return sealed.error();
  co_return out;
}

/// The turns of all disks, taken in an order of their own, so that two groups never wait for each
/// other.
Task<std::vector<AsyncMutex::Guard>> take_turns(Disks disks) {
  std::sort(disks.begin(), disks.end(),
            [](const auto& a, const auto& b) { return a->id() < b->id(); });
  std::vector<AsyncMutex::Guard> turns;
  turns.reserve(disks.size());
  for (const auto& disk : disks) {
    auto turn = co_await disk->snapshots().turn();
    turns.push_back(std::move(turn));
  }
  co_return turns;
}

Task<Result<>> name_one(std::shared_ptr<Disk> disk, Generation frozen, std::string name,
                        std::string asked_by) {
  auto named = co_await disk->snapshots().name(frozen, std::move(name), std::move(asked_by));
  if (!named) co_return named.error();
  co_return Unit{};
}

Task<void> let_go(Disks disks, bool named) {
  for (const auto& disk : disks) co_await disk->snapshots().let_go(named);
}

}  // namespace

Task<Result<pb::TakeSnapshotsReply>> take_snapshots(Scheduler& scheduler, Disks disks,
                                                    pb::TakeSnapshotsRequest request) {
  const auto turns = co_await take_turns(disks);
  for (std::size_t i = 0; i < disks.size(); ++i) {
    pb::Snapshot wanted;
    wanted.set_name(request.snapshots(static_cast<int>(i)).name());
    auto possible = with_snapshot(disks[i]->record(), wanted);
    if (!possible) co_return possible.error();
  }
  auto frozen = co_await freeze(scheduler, disks);
  if (!frozen) {
    co_await let_go(disks, false);
    co_return frozen.error();
  }
  std::vector<Task<Result<>>> naming;
  for (std::size_t i = 0; i < disks.size(); ++i) {
    naming.push_back(name_one(disks[i], frozen->generations[i],
                              request.snapshots(static_cast<int>(i)).name(), request.asked_by()));
  }
  auto named = co_await for_all(std::move(naming));
  co_await let_go(disks, named.ok());
  if (!named) co_return named.error();
  pb::TakeSnapshotsReply reply;
  reply.set_held_us(static_cast<std::uint64_t>(
      std::chrono::duration_cast<std::chrono::microseconds>(frozen->held).count()));
  co_return reply;
}

Task<Result<pb::DiskRecord>> clone_disk(Scheduler& scheduler, std::shared_ptr<Disk> disk,
                                        pb::CloneDiskRequest request) {
  const Disks disks{disk};
  const auto turns = co_await take_turns(disks);
  const pb::DiskRecord record = disk->record();
  Generation generation{};
  std::uint64_t size_bytes = record.size();
  if (request.snapshot().empty()) {
    auto frozen = co_await freeze(scheduler, disks);
    if (!frozen) {
      co_await let_go(disks, false);
      co_return frozen.error();
    }
    generation = frozen->generations.front();
  } else {
    const pb::Snapshot* snapshot = find_snapshot(record, request.snapshot());
    if (snapshot == nullptr) {
      co_return Error{Code::not_found,
                      fmt::format("disk {} has no snapshot {}", record.name(), request.snapshot())};
    }
    generation = Generation{snapshot->generation()};
    size_bytes = snapshot->size();
  }
  const bool named = !request.snapshot().empty();
  auto made = co_await disk->snapshots().clone(std::move(request), generation, size_bytes);
  co_await let_go(disks, named);
  co_return made;
}

Error no_snapshot(const SnapshotName& name) {
  return {Code::not_found,
          fmt::format("disk {} has no snapshot {}", name.disk.str(), name.snapshot)};
}

Task<Result<>> diff_states(std::shared_ptr<Disk> disk, pb::DiffDiskRequest request,
                           std::function<bool(const pb::DiffProgress&)> progress) {
  const pb::DiskRecord record = disk->record();
  SnapshotName name;
  name.disk = DiskName(record.name());
  name.snapshot = request.from();
  const pb::Snapshot* from = find_snapshot(record, request.from());
  if (from == nullptr) co_return no_snapshot(name);
  Disk::View to;
  std::uint64_t size_bytes = record.size();
  if (!request.to().empty()) {
    name.snapshot = request.to();
    const pb::Snapshot* until = find_snapshot(record, request.to());
    if (until == nullptr) co_return no_snapshot(name);
    to = Generation{until->generation()};
    size_bytes = until->size();
  }
  const Generation since{from->generation()};
  co_return co_await disk->diff(since, to, size_bytes, std::move(progress));
}

Task<Result<std::vector<DiskName>>> snapshot_names(Catalog& catalog) {
  auto disks = co_await catalog.disks();
  if (!disks) co_return disks.error();
  std::vector<DiskName> out;
  for (const DiskListing& disk : *disks) {
    if (!disk.entry.ok()) continue;
    for (const pb::Snapshot& snapshot : disk.entry->record.snapshots()) {
      out.emplace_back(disk.name.str() + "@" + snapshot.name());
    }
  }
  co_return out;
}

}  // namespace ukai
