// SPDX-License-Identifier: BSD-2-Clause
//
// Versions of blocks: which one a generation sees, when a change makes a new one, and which nobody
// needs any more (docs/decisions/0008-versions.md).
#include <fmt/format.h>

#include <algorithm>

#include "node/node_core.h"

namespace ukai {
namespace {

constexpr std::size_t remove_at_once = 64;  // files, while requests wait

/// Of blocks that follow each other in `held`, the versions that `history` does not need.
std::vector<BlockKey> unneeded(const std::vector<BlockKey>& held, const History& history,
                               const std::vector<Generation>& kept) {
  std::vector<BlockKey> out;
  for (auto at = held.begin(); at != held.end();) {
    const auto end =
        std::find_if(at, held.end(), [&](const BlockKey& key) { return key.block != at->block; });
    std::vector<Generation> versions;
    for (auto key = at; key != end; ++key) versions.push_back(key->generation);
    for (const Generation version : history.unseen(versions, kept))
      out.push_back({at->disk, at->block, version});
    at = end;
  }
  return out;
}

}  // namespace

Result<std::optional<BlockKey>> NodeCore::version_of(const DiskState& disk, BlockKey key,
                                                     bool ready_only) {
  if (disk.history.simple()) return std::optional(key);
  auto versions = store_.versions(disk.id, key.block, ready_only);
  if (!versions.ok()) return versions.error();
  if (!versions->has_value()) return std::optional<BlockKey>();
  key.generation = disk.history.seen(**versions, key.generation).value_or(key.generation);
  return std::optional(key);
}

bool NodeCore::changes_in_place(const DiskState& disk, BlockKey key) {
  const auto version = version_of(disk, key, true);
  return version.ok() && version->has_value() && (*version)->generation == key.generation;
}

/// exists: another change has just made it.
Result<> NodeCore::fork(DiskState& disk, BlockKey from, Generation to, std::uint32_t offset_bytes,
                        const Payload& data) {
  auto forked = store_.fork(from, to, offset_bytes, data);
  if (forked.ok()) disk.hidden.add(from.block);
  return forked;
}

Result<> NodeCore::put(DiskState& disk, BlockKey key, std::uint32_t offset_bytes,
                       const Payload& data) {
  auto version = version_of(disk, key);
  if (!version.ok()) return version.error();
  if (**version != key) {
    auto forked = fork(disk, **version, key.generation, offset_bytes, data);
    if (!forked.failed_with(Code::exists)) return forked;
  }
  return store_.write(key, offset_bytes, data);
}

/// The key's generation gets a version of its own, if it sees an older one; or else, if it is to be
/// `there` whatever comes.
Result<> NodeCore::make_own(DiskState& disk, BlockKey key, bool there) {
  if (disk.history.simple()) return {};
  auto versions = store_.versions(disk.id, key.block, false);
  if (!versions.ok()) return versions.error();
  const auto seen = disk.history.seen(**versions, key.generation);
  if (seen == key.generation) return {};
  if (!seen) return there ? store_.blank(key) : Result<>();
  auto forked = fork(disk, {key.disk, key.block, *seen}, key.generation, 0, Payload());
  if (forked.failed_with(Code::exists)) return {};
  return forked;
}

/// A block of nothing else vanishes, unless an older version would show then: one that is here, or
/// (`there`) one that a copy is about to bring, which leaves what is changed meanwhile alone.
Result<> NodeCore::put_zeros(DiskState& disk, BlockKey key, Extent range, bool there) {
  const std::uint32_t length = range.end_bytes - range.begin_bytes;
  const bool whole = length == disk.geometry.block_size_bytes;
  auto older = hides_older(disk, key);
  if (!older.ok()) return older.error();
  if (whole && (*older || (there && !disk.history.simple()))) {
    disk.hidden.add(key.block);
    return store_.blank(key);
  }
  auto own = make_own(disk, key, there);
  if (!own.ok()) return own;
  return store_.zero(key, range.begin_bytes, length);
}

Result<bool> NodeCore::hides_older(const DiskState& disk, BlockKey key) {
  if (disk.history.simple()) return false;
  auto versions = store_.versions(disk.id, key.block, false);
  if (!versions.ok()) return versions.error();
  std::erase(**versions, key.generation);
  return disk.history.seen(**versions, key.generation).has_value();
}

Result<> NodeCore::give_up(DiskState& disk, BlockKey key, Extent range) {
  auto own = make_own(disk, key, false);
  if (!own.ok()) return own;
  return store_.give_up(key, range);
}

Result<pb::HashReply> NodeCore::versions_reply(DiskId disk, BlockIndex block) {
  auto versions = store_.versions(disk, block, false);
  if (!versions.ok()) return versions.error();
  pb::HashReply reply;
  for (const Generation version : **versions) reply.add_versions(raw(version));
  return reply;
}

Result<pb::CloneReply> NodeCore::clone(const pb::CloneRequest& request) {
  if (request.ref().session() == 0)
    return Error{Code::invalid, "only the holder may ask for a clone"};
  auto made = DiskId::parse(request.new_disk_id());
  if (!made.ok()) return made.error();
  auto admitted = admit(request.ref());
  if (!admitted.ok()) return admitted.error();
  DiskState& disk = *admitted->disk;
  const Generation at{request.generation()};
  if (at >= disk.history.head())
    return Error{Code::invalid,
                 fmt::format("{}: generation {} is not frozen", disk.text(), raw(at))};
  raise_to(disk.generation, raw(at) + 1);
  auto held = store_.holding(disk.id);
  if (!held.ok()) return held.error();
  std::vector<BlockKey> frozen;
  for (const BlockKey& key : held->blocks) {
    if (!frozen.empty() && frozen.back().block == key.block) continue;
    auto version = version_of(disk, {disk.id, key.block, at});
    if (!version.ok()) return version.error();
    const bool seen = std::binary_search(held->blocks.begin(), held->blocks.end(), **version);
    if (seen) frozen.push_back(**version);
  }
  auto done = store_.clone_disk(disk.id, frozen, *made);
  if (!done.ok()) return done.error();
  pb::CloneReply reply;
  reply.set_blocks(frozen.size());
  return reply;
}

/// What the kept generations see does not change by it, whatever this node has or lacks, and later
/// generations descend from them: so it may be done late, and twice.
Result<> NodeCore::delete_versions(const pb::TrashRecord& order) {
  auto id = DiskId::parse(order.disk_id());
  if (!id.ok()) return id.error();
  auto history = History::from(order.versions());
  if (!history.ok()) return history.error();
  const std::vector<Generation> kept = kept_in(order.versions());
  const DiskRef disk = find_or_add(*id);
  {
    const std::unique_lock pass(disk->gate);
    if (disk->deleted) return {};
    auto loaded = disk->load_session();
    if (!loaded.ok()) return loaded;
    if (!order.released() && raw(disk->record.epoch) <= order.epoch())
      return Error{Code::busy, "the lease under which the snapshot went may still read it"};
  }
  auto held = store_.holding(*id);
  if (held.failed_with(Code::not_found)) return {};
  if (!held.ok()) return held.error();
  const std::vector<BlockKey> gone = unneeded(held->blocks, *history, kept);
  if (gone.empty()) return {};
  // What hides them is durable before they go.
  auto flushed = store_.flush(*id);
  if (!flushed.ok()) return flushed;
  auto removed = remove_versions(disk, gone);
  if (!removed.ok()) return removed;
  return store_.flush(*id);
}

/// Nobody is between finding a version and reading it meanwhile.
Result<> NodeCore::remove_versions(const DiskRef& disk, const std::vector<BlockKey>& gone) {
  auto held = store_.holding(disk->id);
  if (!held.ok()) return held.error();
  for (std::size_t first = 0; first < gone.size(); first += remove_at_once) {
    const std::unique_lock pass(disk->gate);
    if (disk->deleted) return {};
    for (std::size_t i = first; i < std::min(gone.size(), first + remove_at_once); ++i) {
      auto removed = store_.zero(gone[i], 0, held->block_size_bytes);
      if (!removed.ok()) return removed;
    }
  }
  return {};
}

/// After a flush. What cannot be removed now is found by the next process.
void NodeCore::remove_hidden(const DiskRef& disk, const std::vector<BlockIndex>& blocks) {
  std::vector<BlockKey> gone;
  for (const BlockIndex block : blocks) {
    auto versions = store_.versions(disk->id, block, false);
    if (!versions.ok()) return;
    const std::shared_lock pass(disk->gate);
    for (const Generation version : disk->history.unseen(**versions, disk->kept))
      gone.push_back({disk->id, block, version});
  }
  if (gone.empty()) return;
  auto removed = remove_versions(disk, gone);
  if (!removed.ok()) complain(*disk, removed.error());
}

/// What an earlier process, or an earlier holder, had left to do. The caller holds the gate
/// exclusively.
void NodeCore::look_for_hidden(const DiskRef& disk) {
  if (disk->history.simple() || disk->looked_for == disk->kept) return;
  disk->looked_for = disk->kept;
  background().post([self = shared_from_this(), disk] {
    auto held = self->store_.holding(disk->id);
    if (!held.ok() || self->closed()) return;
    const std::shared_lock pass(disk->gate);
    for (const BlockKey& key : unneeded(held->blocks, disk->history, disk->kept))
      disk->hidden.add(key.block);
  });
}

}  // namespace ukai
