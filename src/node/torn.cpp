// SPDX-License-Identifier: BSD-2-Clause
//
// Telling a torn write from damage (docs/decisions/0004-checksums.md). A change reaches the medium
// in two parts, data and checksum. After a crash either may be there without the other, but only in
// a version that is in the durable active set: it was put there before the change, and leaves it
// only after a flush. Anywhere else, what does not fit is damage.
#include <algorithm>

#include "base/log.h"
#include "base/mutation.h"
#include "node/node_core.h"
#include "ukai/limits.h"

namespace ukai {
namespace {

bool may_be_torn(const DiskState& disk, const BlockKey& key) {
  if (mutated(Mutation::returns_unchecked)) return true;
  if (mutated(Mutation::takes_torn_for_damage)) return false;
  return disk.torn.contains({key.block, key.generation});
}

}  // namespace

Result<std::optional<Payload>> NodeCore::load(DiskState& disk, BlockKey key, Extent range,
                                              bool ready_only) {
  const std::uint32_t length = range.end_bytes - range.begin_bytes;
  auto data = store_.read(key, range.begin_bytes, length, ready_only);
  if (!data.failed_with(Code::corrupt)) return data;
  if (may_be_torn(disk, key)) {
    auto accepted = store_.accept(key, range);
    if (!accepted.ok()) return accepted.error();
    return store_.read(key, range.begin_bytes, length, false);
  }
  counters_.damage_met.fetch_add(1, std::memory_order_relaxed);
  complain(disk, data.error());
  return data;
}

Result<> NodeCore::apply(DiskState& disk, const IoRequest& request, bool beside_copy) {
  auto applied = apply_once(disk, request, beside_copy);
  if (!applied.failed_with(Code::corrupt)) return applied;
  auto version = version_of(disk, {request.disk, request.block, request.generation});
  if (!version.ok()) return version.error();
  const BlockKey key = **version;
  if (!may_be_torn(disk, key)) {
    counters_.damage_met.fetch_add(1, std::memory_order_relaxed);
    return applied;
  }
  const auto begin = static_cast<std::uint32_t>(request.offset_bytes);
  auto accepted = store_.accept(key, {begin, begin + request.length_bytes});
  if (!accepted.ok()) return accepted.error();
  return apply_once(disk, request, beside_copy);
}

/// Under the gate, exclusively: nobody is served before this.
void NodeCore::suspect_torn(const DiskRef& disk, const SessionRecord& record) {
  if (disk->suspected && !record.flush_failed) return;
  disk->suspected = true;
  if (mutated(Mutation::takes_torn_for_damage)) return;
  for (const LogKey& key : disk->torn.add(disk->log.active())) disk->log.hold(key);
  if (disk->torn.begin_work()) accept_torn(disk, {}, 0);
}

/// Makes the checksums of all torn versions fit, so that the log may forget them: piece by piece,
/// and others get the thread in between.
void NodeCore::accept_torn(const DiskRef& disk, LogKey key, std::uint32_t at) {
  scheduler_.post([self = shared_from_this(), disk, key, at] {
    const auto next = disk->torn.first();
    if (!next) {
      disk->torn.end_work();
      log::info("event=torn_writes_accepted disk={}", disk->id.to_string());
      return;
    }
    std::uint32_t done = *next == key ? at : 0;
    auto more = self->accept_piece(*disk, *next, done);
    if (!more.ok()) {
      // They stay torn, and logged: the next start begins again.
      disk->torn.end_work();
      return;
    }
    if (!*more) {
      disk->torn.remove(*next);
      disk->log.release(*next);
      done = 0;
    }
    self->accept_torn(disk, *next, done);
  });
}

/// False: that was the last piece.
Result<bool> NodeCore::accept_piece(DiskState& disk, LogKey key, std::uint32_t& at) {
  const std::shared_lock pass(disk.gate);
  if (closed()) return Error{Code::shut_down, "the node is stopping"};
  if (disk.deleted) return Error{Code::not_found, "the disk was deleted"};
  const std::uint32_t end = std::min(disk.geometry.block_size_bytes, at + limits::io_bytes_max);
  auto accepted = store_.accept({disk.id, key.block, key.generation}, {at, end});
  if (!accepted.ok()) {
    complain(disk, accepted.error());
    return accepted.error();
  }
  at = end;
  return at < disk.geometry.block_size_bytes;
}

}  // namespace ukai
