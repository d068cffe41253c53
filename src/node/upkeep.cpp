// SPDX-License-Identifier: BSD-2-Clause
//
// What a storage node does beside reading and writing: its disks, logs, hashes and figures.
#include <fmt/format.h>

#include "base/log.h"
#include "base/version.h"
#include "node/chunk_hash.h"
#include "node/node_core.h"
#include "ukai/limits.h"

namespace ukai {
namespace {

constexpr auto complain_interval = std::chrono::seconds(1);
constexpr std::uint32_t hash_chunk_bytes_min = 4096;  // a hash of 16 bytes must be worth its way

void add_spans(pb::DirtyListReply& reply, const std::vector<LogSpan>& spans) {
  for (const LogSpan& span : spans) {
    pb::BlockSpan& out = *reply.add_blocks();
    out.set_begin(raw(span.begin));
    out.set_end(raw(span.end));
    out.set_generation(raw(span.generation));
  }
}

Result<> only_holder(const pb::SessionRef& ref) {
  if (ref.session() != 0) return {};
  return Error{Code::invalid, "this call needs the holder's session"};
}

}  // namespace

Result<DiskId> disk_id_of(const std::string& text) { return DiskId::parse(text); }

// -- disks

NodeCore::NodeCore(BlockStore& store, Scheduler& scheduler, StorageNodeOptions options)
    : store_(store), scheduler_(scheduler), options_(std::move(options)) {
  auto disks = store_.disks();
  if (!disks.ok()) {
    log::error("event=store_unreadable what=\"{}\"", disks.error().what);
    return;
  }
  for (const DiskId& id : *disks) find_or_add(id);
}

NodeCore::DiskRef NodeCore::find(DiskId id) {
  const std::shared_lock lock(disks_mutex_);
  const auto at = disks_.find(id);
  return at == disks_.end() ? nullptr : at->second;
}

NodeCore::DiskRef NodeCore::find_or_add(DiskId id) {
  const std::unique_lock lock(disks_mutex_);
  auto [at, added] = disks_.try_emplace(id);
  if (added) at->second = std::make_shared<DiskState>(store_, id, options_.id);
  return at->second;
}

Error NodeCore::not_served(DiskId id) {
  return Error{Code::not_admitted,
               fmt::format("disk {} has not been fenced on this node", id.to_string())};
}

Result<NodeCore::Admitted> NodeCore::admit(const pb::SessionRef& ref) {
  auto id = disk_id_of(ref.disk_id());
  if (!id.ok()) return id.error();
  DiskRef disk = find(*id);
  if (!disk) return not_served(*id);
  std::shared_lock pass(disk->gate);
  if (closed()) return Error{Code::shut_down, "the node is stopping"};
  auto checked = disk->check(Epoch{ref.epoch()}, Session{ref.session()});
  if (!checked.ok()) return checked.error();
  return Admitted{std::move(disk), std::move(pass)};
}

void NodeCore::complain(DiskState& disk, const Error& error) {
  const std::int64_t now = scheduler_.now().time_since_epoch().count();
  std::int64_t due = disk.complain_again_ns.load();
  const std::int64_t next_due = now + Duration(complain_interval).count();
  if (now < due || !disk.complain_again_ns.compare_exchange_strong(due, next_due)) return;
  log::error("event=node_error disk={} code={} what=\"{}\"", disk.id.to_string(),
             to_string(error.code), error.what);
}

Result<> NodeCore::delete_disk(DiskId id) {
  const DiskRef disk = find(id);
  if (!disk) return store_.delete_disk(id);
  const std::unique_lock pass(disk->gate);
  return remove(disk);
}

/// The caller holds its gate exclusively.
Result<> NodeCore::remove(const DiskRef& disk) {
  disk->deleted = true;
  auto removed = store_.delete_disk(disk->id);
  if (!removed.ok()) return removed;  // not served any more; the order stands and is tried again
  const std::unique_lock lock(disks_mutex_);
  disks_.erase(disk->id);
  return {};
}

Result<> NodeCore::delete_blocks(const pb::TrashRecord& order) {
  if (order.has_versions()) return delete_versions(order);
  auto id = DiskId::parse(order.disk_id());
  if (!id.ok()) return id.error();
  const DiskRef disk = find_or_add(*id);
  const std::unique_lock pass(disk->gate);
  if (disk->deleted) return {};
  auto loaded = disk->load_session();
  if (!loaded.ok()) return loaded;
  const std::uint64_t epoch = raw(disk->record.epoch);
  if (!order.released() && epoch <= order.epoch()) {
    return Error{Code::busy, "the lease under which the blocks went may still read them"};
  }
  if (epoch <= order.epoch()) {
    // Without a word of the holder's, nothing of this session is wanted here any more.
    const bool told = epoch == order.epoch() && order.sequence() > 0;
    const Sequence last{told ? order.sequence() : UINT64_MAX};
    for (const pb::TrashBlocks& blocks : order.blocks())
      disk->retired.push_back({{BlockIndex{blocks.begin()}, BlockIndex{blocks.end()}}, last});
  }
  auto held = store_.holding(*id);
  if (held.failed_with(Code::not_found)) return {};
  if (!held.ok()) return held.error();
  for (const BlockKey& key : held->blocks) {
    const bool ordered = std::any_of(
        order.blocks().begin(), order.blocks().end(), [&](const pb::TrashBlocks& blocks) {
          return blocks.begin() <= raw(key.block) && raw(key.block) < blocks.end();
        });
    if (!ordered) continue;
    auto removed = store_.zero(key, 0, held->block_size_bytes);
    if (!removed.ok()) return removed;
  }
  auto flushed = store_.flush(*id);
  if (!flushed.ok()) return flushed;
  auto usage = store_.usage(*id);
  if (!usage.ok() || usage->blocks > 0) return {};
  SessionRecord record = disk->record;
  record.left = true;
  return disk->save_session(record);
}

std::vector<DiskId> NodeCore::left_disks() {
  std::vector<DiskId> out;
  auto disks = store_.disks();
  if (!disks.ok()) return out;
  for (const DiskId& id : *disks) {
    const DiskRef disk = find_or_add(id);
    const std::unique_lock pass(disk->gate);
    if (disk->load_session().ok() && disk->record.left) out.push_back(id);
  }
  return out;
}

Result<> NodeCore::delete_left(DiskId id) {
  const DiskRef disk = find(id);
  if (!disk) return {};
  const std::unique_lock pass(disk->gate);
  auto loaded = disk->load_session();
  if (!loaded.ok()) return loaded;
  auto usage = store_.usage(id);
  if (!usage.ok()) return usage.error();
  if (!disk->record.left || usage->blocks > 0) {
    return Error{Code::busy, fmt::format("disk {} is in use here", id.to_string())};
  }
  return remove(disk);
}

void NodeCore::close() {
  closed_.store(true);
  std::map<DiskId, DiskRef> disks;
  {
    const std::shared_lock lock(disks_mutex_);
    disks = disks_;
  }
  for (const auto& [id, disk] : disks) {
    const std::unique_lock pass(disk->gate);
  }
}

// -- logs

Result<pb::DirtyListReply> NodeCore::dirty_list(const pb::DirtyListRequest& request) {
  auto holder = only_holder(request.ref());
  if (!holder.ok()) return holder.error();
  auto admitted = admit(request.ref());
  if (!admitted.ok()) return admitted.error();
  const DirtyLog& log = admitted->disk->log;
  pb::DirtyListReply reply;
  add_spans(reply, request.missed_by().empty() ? log.active() : log.missed_by(request.missed_by()));
  return reply;
}

Result<pb::CleanReply> NodeCore::clean(const pb::CleanRequest& request) {
  auto holder = only_holder(request.ref());
  if (!holder.ok()) return holder.error();
  DirtyLog::Cleaning cleaning;
  cleaning.epoch = Epoch{request.ref().epoch()};
  cleaning.through = Sequence{request.through_sequence()};
  cleaning.earlier_epochs = request.earlier_epochs();
  cleaning.healed = {request.healed().begin(), request.healed().end()};
  DiskRef disk;
  {
    auto admitted = admit(request.ref());
    if (!admitted.ok()) return admitted.error();
    auto cleaned = admitted->disk->log.clean(cleaning);
    if (!cleaned.ok()) {
      complain(*admitted->disk, cleaned.error());
      return cleaned.error();
    }
    disk = admitted->disk;
    if (!disk->record.crashed && !disk->record.flush_failed) return pb::CleanReply{};
  }
  const std::unique_lock pass(disk->gate);
  auto cleared = clear_crash(*disk, request);
  if (!cleared.ok()) return cleared.error();
  return pb::CleanReply{};
}

/// The holder has made good for the crash when it declares the time before over, or when nothing
/// that it concerned is left.
Result<> NodeCore::clear_crash(DiskState& disk, const pb::CleanRequest& request) {
  auto admitted = disk.check(Epoch{request.ref().epoch()}, Session{request.ref().session()});
  if (!admitted.ok()) return admitted;
  if (!request.earlier_epochs() && disk.log.counts().active > 0) return {};
  SessionRecord record = disk.record;
  record.crashed = false;
  record.flush_failed = false;
  auto saved = disk.save_session(record);
  if (!saved.ok()) complain(disk, saved.error());
  return saved;
}

// -- hashes

Result<pb::HashReply> NodeCore::hash(const pb::HashRequest& request) {
  const std::uint32_t chunk = request.chunk() == 0 ? request.length() : request.chunk();
  if (chunk < hash_chunk_bytes_min && chunk != request.length())
    return Error{Code::invalid,
                 fmt::format("a hash covers at least {} bytes", hash_chunk_bytes_min)};
  BlockKey key;
  std::vector<Extent> extents;
  {
    auto admitted = admit(request.ref());
    if (!admitted.ok()) return admitted.error();
    const DiskState& disk = *admitted->disk;
    key = {disk.id, BlockIndex{request.block()}, Generation{request.generation()}};
    auto range = disk.check_range(key.block, 0, request.length());
    if (!range.ok()) return range.error();
    if (request.only_versions()) return versions_reply(disk.id, key.block);
    auto version = version_of(disk, key);
    if (!version.ok()) return version.error();
    auto found = store_.extents(**version);
    if (!found.ok()) return found.error();
    extents = std::move(*found);
  }
  // The session is checked for each piece: a fence does not wait for the whole block.
  const auto read = [&](Extent range) -> Result<Payload> {
    auto admitted = admit(request.ref());
    if (!admitted.ok()) return admitted.error();
    auto version = version_of(*admitted->disk, key);
    if (!version.ok()) return version.error();
    auto data = load(*admitted->disk, **version, range);
    if (!data.ok()) return data.error();
    return std::move(**data);
  };
  const ChunkHasher hasher(std::move(extents), read);
  pb::HashReply reply;
  for (std::uint32_t at = 0; at < request.length();) {
    const std::uint32_t end = at + std::min(chunk, request.length() - at);
    auto hash = hasher.hash({at, end});
    if (request.damage_too() && hash.failed_with(Code::corrupt)) {
      reply.add_damaged(at / chunk);
      hash = ChunkHash{};
    }
    if (!hash.ok()) return hash.error();
    reply.mutable_hashes()->append(hash->data(), hash->size());
    at = end;
  }
  return reply;
}

Task<Result<pb::HashReply>> hash_block(std::shared_ptr<NodeCore> core, pb::HashRequest request) {
  co_await hop(core->background());
  co_return core->hash(request);
}

// -- figures

Result<pb::DiskUsageReply> NodeCore::disk_usage(const pb::DiskUsageRequest& request) {
  auto id = disk_id_of(request.disk_id());
  if (!id.ok()) return id.error();
  auto usage = store_.usage(*id);
  if (!usage.ok()) return usage.error();
  pb::DiskUsageReply reply;
  reply.set_allocated_bytes(usage->allocated_bytes);
  reply.set_blocks(usage->blocks);
  reply.set_shared_bytes(usage->shared_bytes);
  const DiskRef disk = find(*id);
  if (!disk) return reply;  // a clone that nobody has opened yet
  std::shared_lock pass(disk->gate);
  if (!disk->log_loaded) {
    pass.unlock();
    const std::unique_lock exclusive(disk->gate);
    auto loaded = disk->load_log();
    if (!loaded.ok()) return loaded.error();
  }
  const DirtyLog::Counts counts = disk->log.counts();
  reply.set_active_blocks(counts.active);
  reply.set_missed_blocks(counts.missed);
  return reply;
}

pb::HealthReply NodeCore::health() {
  pb::HealthReply reply;
  reply.set_node_id(options_.id.str());
  reply.set_boot_id(options_.boot_id);
  reply.set_incarnation(options_.incarnation);
  reply.set_version(std::string(version_string));
  if (auto space = store_.space(); space.ok()) {
    reply.set_capacity_bytes(space->capacity_bytes);
    reply.set_free_bytes(space->free_bytes);
  }
  if (auto disks = store_.disks(); disks.ok()) {
    reply.set_disks(disks->size());
    std::uint64_t used = 0;
    for (const DiskId& id : *disks)
      if (auto usage = store_.usage(id); usage.ok()) used += usage->own_bytes;
    reply.set_used_bytes(used);
  }
  reply.set_reads(counters_.reads.load());
  reply.set_writes(counters_.writes.load());
  reply.set_flushes(counters_.flushes.load());
  reply.set_read_bytes(counters_.read_bytes.load());
  reply.set_written_bytes(counters_.written_bytes.load());
  reply.set_damage_met(counters_.damage_met.load());
  reply.set_scrubbed_bytes(counters_.scrubbed_bytes.load());
  reply.set_scrub_passes(counters_.scrub_passes.load());
  reply.set_scrub_found_units(counters_.scrub_found_units.load());
  return reply;
}

}  // namespace ukai
