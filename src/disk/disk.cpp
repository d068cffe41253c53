// SPDX-License-Identifier: BSD-2-Clause
#include "disk/disk.h"

#include <fmt/format.h>

#include <cstring>

#include "base/log.h"
#include "disk/extents.h"
#include "ukai/disk_change.h"
#include "ukai/history.h"

namespace ukai {
namespace {

/// Blocks of one request that are worked on at once: enough to overlap the network, bounded for a
/// discard of a whole disk.
constexpr std::size_t parts_parallel = 64;

}  // namespace

Disk::Disk(DiskServices services, DiskOptions options, Catalog::Taken taken, const Owed& owed)
    : serves_guest_(taken.lease.kind == pb::LeaseRecord::GUEST),
      core_(services, std::move(options), std::move(taken), owed),
      membership_(core_),
      connector_(core_, membership_),
      healer_(core_, membership_, connector_),
      mover_(core_, membership_),
      repairer_(core_),
      io_(core_, membership_, repairer_),
      flusher_(core_, membership_, connector_),
      snapshots_(core_, membership_, connector_, flusher_),
      pace_(core_, membership_, flusher_) {}

Disk::~Disk() = default;

Task<Result<>> Disk::begin_guest() {
  auto done = co_await membership_.begin_guest();
  if (done.ok()) serves_guest_ = true;
  co_return done;
}

Task<Result<>> Disk::start() {
  auto started = co_await connector_.start();
  if (!started) co_return started;
  core_.tasks.spawn(connector_.keep_all_open(healer_));
  core_.tasks.spawn(flusher_.keep_clean());
  core_.tasks.spawn(pace_.watch());
  co_return Unit{};
}

Task<bool> Disk::finish() {
  const bool clean = co_await flusher_.clean();
  core_.stop(Error{Code::stale, "the lease was given back"});
  co_return clean;
}

Task<void> Disk::abandon(Error error) {
  core_.stop(std::move(error));
  co_await core_.tasks.close();
}

/// A generation that has lost its name may be half deleted.
Result<> Disk::check_view(View at) {
  if (!at) return {};
  std::lock_guard lock(core_.mutex);
  for (const Generation kept : kept_generations(core_.entry.record)) {
    if (kept == *at) return {};
  }
  return Error{Code::io, "the snapshot has been deleted"};
}

Task<Result<Payload>> Disk::read(ByteRange range, View at) {
  return at ? read_frozen(range, at) : read_parts(range, at);
}

/// What is read while the snapshot goes may be what an older version has.
Task<Result<Payload>> Disk::read_frozen(ByteRange range, View at) {
  if (auto fine = check_view(at); !fine) co_return fine.error();
  auto data = co_await read_parts(range, at);
  if (auto fine = check_view(at); !fine) co_return fine.error();
  co_return data;
}

Task<Result<Payload>> Disk::read_parts(ByteRange range, View at) {
  core_.counters.reads += 1;
  core_.counters.read_bytes += range.size_bytes();
  core_.counters.read_sizes.count(range.size_bytes());
  const auto parts = core_.geometry().split(range);
  Payload out;
  if (parts.size() == 1) {
    auto piece = co_await io_.read(parts.front(), at);
    if (!piece.ok()) core_.counters.read_errors += 1;
    co_return piece;
  }
  std::vector<Task<Result<Payload>>> reads;
  for (const BlockPart& part : parts) reads.push_back(io_.read(part, at));
  auto pieces = co_await gather(std::move(reads));
  for (const auto& piece : pieces) {
    if (!piece.ok()) {
      core_.counters.read_errors += 1;
      co_return piece.error();
    }
    out.append(*piece);
  }
  co_return out;
}

Task<Result<>> Disk::change_range(ByteRange range, IoOp op, Payload data) {
  const auto parts = core_.geometry().split(range);
  if (parts.size() == 1) {
    auto done = co_await io_.change(parts.front(), op, std::move(data));
    if (!done) core_.counters.write_errors += 1;
    co_return done;
  }
  std::vector<Task<Result<>>> batch;
  std::size_t at = 0;
  Result<> outcome;
  for (std::size_t i = 0; i < parts.size(); ++i) {
    Payload piece;
    if (op == IoOp::write) piece = data.part(at, parts[i].length_bytes);
    at += parts[i].length_bytes;
    batch.push_back(io_.change(parts[i], op, std::move(piece)));
    if (batch.size() < parts_parallel && i + 1 < parts.size()) continue;
    auto done = co_await gather(std::exchange(batch, {}));
    for (const Result<>& result : done) {
      if (!result && outcome.ok()) outcome = result.error();
    }
    if (!outcome) break;
  }
  if (!outcome) core_.counters.write_errors += 1;
  co_return outcome;
}

Task<Result<>> Disk::write(std::uint64_t offset_bytes, Payload data) {
  core_.counters.writes += 1;
  core_.counters.written_bytes += data.size();
  core_.counters.write_sizes.count(data.size());
  const ByteRange range{offset_bytes, offset_bytes + data.size()};
  co_return co_await change_range(range, IoOp::write, std::move(data));
}

Task<Result<>> Disk::zero(ByteRange range) {
  core_.counters.discards += 1;
  Payload none;
  co_return co_await change_range(range, IoOp::zero, none);
}

Task<Result<>> Disk::flush() {
  core_.counters.flushes += 1;
  auto done = co_await flusher_.flush();
  if (!done) core_.counters.write_errors += 1;
  co_return done;
}

Task<Result<std::uint64_t>> Disk::seek(std::uint64_t offset_bytes, bool data, View at) {
  if (auto fine = check_view(at); !fine) co_return fine.error();
  const Geometry geometry = core_.geometry();
  ExtentCursor cursor(offset_bytes, data);
  std::uint64_t block = raw(geometry.block_of(offset_bytes));
  while (block < geometry.block_count()) {
    std::vector<Task<Result<Payload>>> batch;
    const std::uint64_t first = block;
    for (; block < geometry.block_count() && batch.size() < parts_parallel; ++block) {
      batch.push_back(io_.extents(BlockIndex{block}, at));
      if (block == raw(geometry.block_of(offset_bytes))) break;  // most answers are right here
    }
    if (block == first) ++block;
    auto answers = co_await gather(std::move(batch));
    for (std::size_t i = 0; i < answers.size(); ++i) {
      if (!answers[i]) co_return answers[i].error();
      auto extents = decode_extents(*answers[i]);
      if (!extents) co_return extents.error();
      const auto found = cursor.look(geometry.range_of(BlockIndex{first + i}), *extents);
      if (found) co_return *found;
    }
  }
  if (!data) co_return geometry.size_bytes;
  co_return Error{Code::not_found, "no data beyond this offset"};
}

/// The nodes refuse what lies beyond the size they know, so they hear of a larger one first.
Task<Result<>> Disk::announce(pb::ChangeDiskRequest resize) {
  auto changed = apply_change(record(), resize);
  if (!changed) co_return changed.error();
  if (changed->size() > record().size()) {
    // What was cut off once may not come back, and what comes now may not be taken for it.
    auto clear = co_await core_.services.catalog.nothing_to_delete_beyond(record());
    if (!clear) co_return clear.error();
  }
  {
    std::lock_guard lock(core_.mutex);
    core_.announced_bytes = std::max(core_.announced_bytes, changed->size());
  }
  if (!co_await connector_.tell_missing()) {
    co_return Error{Code::unreachable, "a node of this disk cannot be told the new size now"};
  }
  co_return Unit{};
}

Task<Result<pb::DiskRecord>> Disk::change(pb::ChangeDiskRequest request) {
  if (request.has_resize()) {
    auto told = co_await announce(request);
    if (!told) co_return told.error();
  }
  if (request.has_delete_snapshot()) co_return co_await snapshots_.remove(std::move(request));
  if (request.has_rollback()) co_return co_await snapshots_.roll_back(std::move(request));
  if (request.has_drop_node()) co_return co_await membership_.drop_node(std::move(request));
  if (request.has_add_locations() || request.has_remove_locations()) {
    auto changed = co_await membership_.change_locations(std::move(request));
    // Nodes know the members by name before a frame names a new one by its bit. Who cannot be told
    // now is told by its next fence.
    if (changed.ok()) static_cast<void>(co_await connector_.tell_missing());
    co_return changed;
  }
  co_return co_await membership_.change(std::move(request));
}

Task<void> Disk::verify_lease(std::shared_ptr<Disk> disk) {
  co_await disk->membership_.verify_lease();
}

bool Disk::degraded() {
  std::lock_guard lock(core_.mutex);
  return core_.members.missing_mask() != 0;
}

pb::DiskRecord Disk::record() {
  std::lock_guard lock(core_.mutex);
  return core_.entry.record;
}

pb::DiskStatusInfo Disk::status() {
  pb::DiskStatusInfo info;
  std::lock_guard lock(core_.mutex);
  info.set_disk_id(core_.id.to_string());
  info.set_name(core_.entry.record.name());
  info.set_epoch(raw(core_.lease.epoch));
  info.set_holds_lease(!core_.stopped);
  for (const auto& replica : core_.replicas) {
    if (core_.members.gone(replica->index)) continue;
    pb::MemberStatus* member = info.add_members();
    const bool missing = core_.members.missing(replica->index);
    member->set_node(replica->node.str());
    member->set_state(!missing ? "present" : replica->healing ? "healing" : "missing");
    member->set_connected(replica->state == Replica::State::open);
    member->set_missed_blocks(replica->heal_left);
    member->set_blocks_left(replica->heal_left);
    member->set_unknown(missing && (replica->heal_unknown || !replica->healing));
  }
  const DiskCounters& counters = core_.counters;
  pb::DiskCounters* out = info.mutable_counters();
  out->set_reads(counters.reads);
  out->set_writes(counters.writes);
  out->set_flushes(counters.flushes);
  out->set_discards(counters.discards);
  out->set_read_bytes(counters.read_bytes);
  out->set_written_bytes(counters.written_bytes);
  out->set_read_errors(counters.read_errors);
  out->set_write_errors(counters.write_errors);
  out->set_healed_blocks(counters.healed_blocks);
  out->set_healed_bytes(counters.healed_bytes);
  out->set_hedged_reads(counters.hedged_reads);
  counters.read_sizes.fill(*out->mutable_read_sizes());
  counters.write_sizes.fill(*out->mutable_write_sizes());
  out->set_damaged_units(counters.damaged_units);
  out->set_repaired_units(counters.repaired_units);
  return info;
}

}  // namespace ukai
