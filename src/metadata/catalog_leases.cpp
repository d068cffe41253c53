// SPDX-License-Identifier: BSD-2-Clause
//
// Leases. catalog_disks.cpp says why they are sound.
#include <utility>

#include "base/unix_time.h"
#include "metadata/catalog_io.h"
#include "metadata/event_texts.h"
#include "ukai/catalog.h"
#include "ukai/limits.h"
#include "ukai/location_change.h"

namespace ukai {

namespace {

Error held_by(const pb::DiskRecord& disk, const LeaseInfo& lease) {
  const std::uint64_t now = unix_now_s();
  const std::uint64_t since = lease.record.since_unix_s();
  const std::string age = now > since ? std::to_string(now - since) : "0";
  return {Code::busy, "disk \"" + disk.name() + "\" has been held by \"" + lease.record.holder() +
                          "\" for " + age + " s (epoch " + std::to_string(lease.record.epoch()) +
                          ")"};
}

Error contended(DiskId disk) {
  return {Code::stale, Catalog::disk_path(disk) + " is changed by others again and again"};
}

}  // namespace

Task<Result<std::optional<LeaseInfo>>> Catalog::lease_of(DiskId disk) {
  auto found = co_await find_record<pb::LeaseRecord>(coordination_, lease_path(disk));
  if (!found) co_return found.error();
  if (!*found) co_return std::optional<LeaseInfo>();
  co_return std::optional<LeaseInfo>(LeaseInfo{std::move((*found)->record), (*found)->stat});
}

Task<Result<Catalog::Taken>> Catalog::take_lease(DiskId disk, std::string holder,
                                                 pb::LeaseRecord::Kind kind) {
  for (int attempt = 0; attempt < limits::metadata_conflicts_max; ++attempt) {
    auto entry = co_await load_disk(disk);
    if (!entry) co_return entry.error();
    auto held = co_await lease_of(disk);
    if (!held) co_return held.error();
    if (*held) co_return held_by(entry->record, **held);

    pb::LeaseRecord record;
    record.set_holder(holder);
    record.set_epoch(entry->record.epoch() + 1);
    record.set_kind(kind);
    record.set_op(new_operation());
    record.set_since_unix_s(unix_now_s());
    entry->record = without_gone(std::move(entry->record));
    entry->record.set_epoch(record.epoch());
    entry->record.set_last_holder(holder);
    const std::uint64_t guest_before = entry->record.guest_epoch();
    if (kind == pb::LeaseRecord::GUEST) entry->record.set_guest_epoch(record.epoch());
    remember_operation(entry->record, record.op());
    std::vector<Op> ops;
    ops.push_back(Op::set(disk_path(disk), encode_record(entry->record), entry->version));
    ops.push_back(Op::create_ephemeral(lease_path(disk), encode_record(record)));
    Probe probe{&mark_has_op<pb::LeaseRecord>, lease_path(disk), record.op()};
    std::vector<pb::EventRecord> events = lease_events(entry->record, record);
    auto done = co_await commit_told(std::move(ops), std::move(probe), std::move(events));
    if (!done && !lost_race(done)) co_return done.error();
    if (!done) continue;

    // The znode says which session owns it: the present one may have begun since.
    auto mine = co_await lease_of(disk);
    if (!mine) co_return mine.error();
    if (!*mine || (*mine)->record.op() != record.op()) continue;
    ++entry->version;
    Lease lease{disk, Epoch{record.epoch()}, kind, record.op(), (*mine)->stat.ephemeral_owner};
    co_return Taken{std::move(lease), std::move(*entry), guest_before};
  }
  co_return contended(disk);
}

Task<Result<>> Catalog::release_lease(Lease lease) {
  for (int attempt = 0; attempt < limits::metadata_conflicts_max; ++attempt) {
    // The record first: if it is unchanged when the znode goes, nobody took the lease in between,
    // and the znode that goes is the one that was looked at.
    auto disk = co_await coordination_.get(disk_path(lease.disk));
    if (disk.failed_with(Code::not_found)) co_return Unit{};
    if (!disk) co_return disk.error();
    auto stands = co_await lease_stands(lease);
    if (!stands) co_return stands.error();
    if (!*stands) co_return Unit{};
    auto record = decode_record<pb::DiskRecord>(disk_path(lease.disk), disk->data);
    std::vector<Op> ops;
    if (record.ok() && record->epoch() == raw(lease.epoch)) {
      // An administrator's lease says nothing about who lost his before it.
      const bool says =
          lease.kind != pb::LeaseRecord::ADMIN || record->released_epoch() + 1 == record->epoch();
      if (says) record->set_released_epoch(record->epoch());
      ops.push_back(Op::set(disk_path(lease.disk), encode_record(*record), disk->stat.version));
    } else {
      ops.push_back(Op::check(disk_path(lease.disk), disk->stat.version));
    }
    ops.push_back(Op::remove(lease_path(lease.disk)));
    auto done = co_await coordination_.commit(std::move(ops));
    // A lost answer needs no care: the next round sees whether it is gone.
    if (done.ok() || !(lost_race(done) || done.failed_with(Code::unknown))) co_return done;
  }
  co_return contended(lease.disk);
}

Task<Result<>> Catalog::break_lease(DiskId disk, std::int64_t created_zxid) {
  for (int attempt = 0; attempt < limits::metadata_conflicts_max; ++attempt) {
    auto record = co_await coordination_.get(disk_path(disk));
    if (!record) co_return record.error();
    auto lease = co_await coordination_.get(lease_path(disk));
    if (lease.failed_with(Code::not_found)) co_return Unit{};
    if (!lease) co_return lease.error();
    if (lease->stat.created_zxid != created_zxid) {
      co_return Error{Code::stale, "the lease of " + disk_path(disk) + " is another one by now"};
    }
    std::vector<Op> ops;
    ops.push_back(Op::check(disk_path(disk), record->stat.version));
    ops.push_back(Op::remove(lease_path(disk)));
    auto done = co_await coordination_.commit(std::move(ops));
    if (done.ok()) {
      auto told = co_await add_event(force_event(record->data, lease->data));
      if (!told) co_return Unit{};  // the lease is gone all the same
    }
    if (done.ok() || !(lost_race(done) || done.failed_with(Code::unknown))) co_return done;
  }
  co_return contended(disk);
}

Task<Result<bool>> Catalog::lease_stands(Lease lease) {
  co_return co_await mark_has_op<pb::LeaseRecord>(coordination_, lease_path(lease.disk), lease.op);
}

}  // namespace ukai
