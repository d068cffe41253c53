// SPDX-License-Identifier: BSD-2-Clause
//
// The data requests of a storage node: read, write, zero, flush, extents, ping, check.
#include <fmt/format.h>

#include "base/log.h"
#include "base/mutation.h"
#include "node/node_core.h"
#include "node/packing.h"
#include "ukai/extent_list.h"
#include "ukai/limits.h"

namespace ukai {
namespace {

/// Parts of pages may have to be read before they are changed, which waits for the device.
constexpr std::uint64_t page_bytes = 4096;
/// Whoever reads in order reads at least so much at a time: a guest's kernel does.
constexpr std::uint32_t stream_read_bytes = 64U << 10;
constexpr std::size_t fetches_max = 4;  // at a time: the device has other work

bool mutates(IoOp op) { return op == IoOp::write || op == IoOp::zero; }

/// What can be told without knowing the disk.
Result<> check_shape(const IoRequest& request) {
  switch (request.op) {
    case IoOp::read:
    case IoOp::read_packed:
    case IoOp::check:
      if (request.length_bytes > limits::io_bytes_max)
        return Error{Code::invalid, fmt::format("reading {} bytes is over the limit of {}",
                                                request.length_bytes, limits::io_bytes_max)};
      break;
    case IoOp::write:
      if (request.data.size() != request.length_bytes)
        return Error{Code::invalid, fmt::format("a write of {} bytes came with {}",
                                                request.length_bytes, request.data.size())};
      return {};
    case IoOp::zero:
    case IoOp::flush:
    case IoOp::extents:
    case IoOp::ping:
      break;
    default:
      return Error{Code::invalid, fmt::format("operation {} is not a storage node's",
                                              static_cast<int>(request.op))};
  }
  if (!request.data.empty()) return Error{Code::invalid, "only a write carries data"};
  return {};
}

BlockKey key_of(const IoRequest& request) {
  return {request.disk, request.block, request.generation};
}

}  // namespace

std::optional<IoReply> NodeCore::handle(const IoRequest& request, bool inline_only) {
  auto shape = check_shape(request);
  if (!shape.ok()) return IoReply::failed(shape.error());
  const bool reads = !mutates(request.op) && request.op != IoOp::flush;
  if (request.session == Session{0} && !reads)
    return IoReply::failed(Code::invalid, "session 0 may only read");
  const DiskRef disk = find(request.disk);
  if (!disk) return IoReply::failed(not_served(request.disk));
  if (request.op == IoOp::flush) {
    if (inline_only) return std::nullopt;
    return flush(disk, request);
  }
  std::shared_lock pass(disk->gate, std::defer_lock);
  if (!inline_only)
    pass.lock();
  else if (!pass.try_lock())
    return std::nullopt;  // a fence is under way
  auto admitted = disk->check(request.epoch, request.session);
  if (!admitted.ok()) return IoReply::failed(admitted.error());
  if (request.op == IoOp::ping) return IoReply{};
  const std::uint64_t length = request.op == IoOp::extents ? 1 : request.length_bytes;
  auto range = disk->check_range(request.block, request.offset_bytes, length);
  if (!range.ok()) return IoReply::failed(range.error());
  if (request.op == IoOp::read) {
    // Once for each request: a guest's is tried inline first, and of a copy's the other try counts.
    if (inline_only != (request.session == Session{0})) note_stream(disk, request);
    return read(*disk, request, inline_only);
  }
  if (request.op == IoOp::read_packed) {
    if (inline_only) return std::nullopt;  // it takes a while
    auto reply = read(*disk, request, false);
    if (reply && reply->ok) reply->data = pack(reply->data);
    return reply;
  }
  if (mutates(request.op)) return change(*disk, request, inline_only);
  if (inline_only) return std::nullopt;
  if (request.op == IoOp::check) return check(*disk, request);
  return extents(*disk, request);
}

std::optional<IoReply> NodeCore::read(DiskState& disk, const IoRequest& request, bool inline_only) {
  const auto begin = static_cast<std::uint32_t>(request.offset_bytes);
  auto version = version_of(disk, key_of(request), inline_only);
  if (!version.ok()) return IoReply::failed(version.error());
  if (!version->has_value()) return std::nullopt;
  auto data = load(disk, **version, {begin, begin + request.length_bytes}, inline_only);
  if (!data.ok()) {
    if (mutated(Mutation::returns_damage) && data.failed_with(Code::corrupt))
      data = std::optional<Payload>(Payload::zeros(request.length_bytes));
  }
  if (!data.ok()) {
    complain(disk, data.error());
    return IoReply::failed(data.error());
  }
  if (!data->has_value()) return std::nullopt;
  counters_.reads.fetch_add(1, std::memory_order_relaxed);
  counters_.read_bytes.fetch_add(request.length_bytes, std::memory_order_relaxed);
  IoReply reply;
  reply.data = std::move(**data);
  return reply;
}

/// The caller holds the gate.
void NodeCore::note_stream(const DiskRef& disk, const IoRequest& request) {
  if (request.length_bytes < stream_read_bytes) return;
  const auto begin = static_cast<std::uint32_t>(request.offset_bytes);
  const auto next = disk->streams.note(request.block, {begin, begin + request.length_bytes},
                                       disk->geometry.block_size_bytes);
  if (!next || !disk->check_range(*next, 0, 1).ok()) return;
  const BlockKey key{disk->id, *next, request.generation};
  if (begins_in_memory(*disk, key)) return;
  if (fetches_.fetch_add(1) >= fetches_max) {
    fetches_.fetch_sub(1);
    return;
  }
  background().post([core = shared_from_this(), disk, key] {
    core->fetch(disk, key);
    core->fetches_.fetch_sub(1);
  });
}

/// As when all of it has been read lately: then there is nothing to fetch.
bool NodeCore::begins_in_memory(const DiskState& disk, BlockKey key) {
  const auto version = version_of(disk, key, true);
  if (!version.ok() || !version->has_value()) return false;
  const auto read = store_.read(**version, 0, BlockStore::unit_bytes, true);
  return read.ok() && read->has_value();
}

/// From the device, before it is asked for. Nobody waits for it, so whatever goes wrong is left to
/// whoever does.
void NodeCore::fetch(const DiskRef& disk, BlockKey key) {
  const std::shared_lock pass(disk->gate, std::try_to_lock);
  if (!pass.owns_lock() || closed() || disk->deleted) return;
  const auto version = version_of(*disk, key);
  if (version.ok()) store_.will_read(**version);
}

std::optional<IoReply> NodeCore::change(DiskState& disk, const IoRequest& request,
                                        bool inline_only) {
  auto mask = disk.check_mask(request.missing_mask);
  if (!mask.ok()) return IoReply::failed(mask.error());
  auto wanted = disk.check_retired(request.block, request.sequence);
  if (!wanted.ok()) return IoReply::failed(wanted.error());
  const std::uint64_t head = disk.generation.load();
  if (raw(request.generation) < head)
    return IoReply::failed(
        Code::stale, fmt::format("{}: generation {} is frozen, this node has seen {}", disk.text(),
                                 raw(request.generation), head));
  if (!disk.history.contains(request.generation))
    return IoReply::failed(Code::not_admitted,
                           fmt::format("{}: generation {} has not been told of here", disk.text(),
                                       raw(request.generation)));
  if (inline_only && (request.offset_bytes | request.length_bytes) % page_bytes != 0)
    return std::nullopt;
  if (inline_only && !changes_in_place(disk, key_of(request))) return std::nullopt;

  // 1. Durably in the active set, and in the missed set of each member that will lack this.
  const LogKey key{request.block, request.generation};
  const Touch touch{request.epoch, request.sequence};
  const bool logs = !mutated(Mutation::logs_nothing);
  if (logs && !disk.log.touch_if_logged(key, request.missing_mask, touch)) {
    if (inline_only) return std::nullopt;
    auto logged = disk.log.touch(key, request.missing_mask, touch);
    if (!logged.ok()) {
      complain(disk, logged.error());
      return IoReply::failed(logged.error());
    }
  }
  raise_to(disk.generation, raw(request.generation));
  raise_to(disk.last_sequence, raw(request.sequence));

  // 2. Apply it, in turn with a copy of the same block.
  const auto begin = static_cast<std::uint32_t>(request.offset_bytes);
  const Extent range{begin, begin + request.length_bytes};
  const auto copy = disk.copies.before_change(key, range, request.sequence, scheduler_.now());
  std::unique_lock<std::mutex> turn;
  if (copy) {
    turn = std::unique_lock(copy->mutex, std::defer_lock);
    if (!inline_only)
      turn.lock();
    else if (!turn.try_lock())
      return std::nullopt;
  }
  auto applied = apply(disk, request, copy != nullptr);
  if (!applied.ok()) {
    complain(disk, applied.error());
    return IoReply::failed(applied.error());
  }
  if (copy && !mutated(Mutation::copies_over_new_writes)) copy->covered.add(range);
  counters_.writes.fetch_add(1, std::memory_order_relaxed);
  counters_.written_bytes.fetch_add(request.length_bytes, std::memory_order_relaxed);
  return IoReply{};
}

Result<> NodeCore::apply_once(DiskState& disk, const IoRequest& request, bool beside_copy) {
  const auto offset = static_cast<std::uint32_t>(request.offset_bytes);
  if (request.op == IoOp::write) return put(disk, key_of(request), offset, request.data);
  return put_zeros(disk, key_of(request), {offset, offset + request.length_bytes}, beside_copy);
}

IoReply NodeCore::extents(DiskState& disk, const IoRequest& request) {
  auto version = version_of(disk, key_of(request));
  if (!version.ok()) return IoReply::failed(version.error());
  return list_reply(disk, store_.extents(**version));
}

/// Which units of the range do not fit their checksums.
IoReply NodeCore::check(DiskState& disk, const IoRequest& request) {
  const auto begin = static_cast<std::uint32_t>(request.offset_bytes);
  const Extent range{begin, begin + request.length_bytes};
  auto version = version_of(disk, key_of(request));
  if (!version.ok()) return IoReply::failed(version.error());
  const BlockKey key = **version;
  if (disk.torn.contains({key.block, key.generation})) {
    auto accepted = store_.accept(key, range);
    if (!accepted.ok()) return IoReply::failed(accepted.error());
  }
  return list_reply(disk, store_.check(key, range));
}

IoReply NodeCore::list_reply(DiskState& disk, const Result<std::vector<Extent>>& found) {
  if (!found.ok()) {
    complain(disk, found.error());
    return IoReply::failed(found.error());
  }
  IoReply reply;
  reply.data = encode_extents(*found);
  return reply;
}

/// Not under the gate: a flush takes as long as the device needs, and a fence does not wait for it.
IoReply NodeCore::flush(const DiskRef& disk_ref, const IoRequest& request) {
  DiskState& disk = *disk_ref;
  std::uint64_t ticket = 0;
  {
    const std::shared_lock pass(disk.gate);
    auto admitted = disk.check(request.epoch, request.session);
    if (!admitted.ok()) return IoReply::failed(admitted.error());
    ticket = disk.log.flush_begins();
  }
  const auto hidden = disk.hidden.take();
  auto flushed = store_.flush(disk.id);
  if (!flushed.ok() && flushed.code() == Code::io) flush_failed(disk, flushed.error());
  if (flushed.ok() && !hidden.empty()) remove_hidden(disk_ref, hidden);
  const std::shared_lock pass(disk.gate);
  if (flushed.ok()) disk.log.flush_succeeded(ticket);
  if (!flushed.ok()) return IoReply::failed(flushed.error());
  auto admitted = disk.check(request.epoch, request.session);
  if (!admitted.ok()) return IoReply::failed(admitted.error());
  counters_.flushes.fetch_add(1, std::memory_order_relaxed);
  return IoReply{};
}

/// All that was written since the last good flush must be taken as lost, though reads may still
/// find it: nobody reads here until a fence has told the holder.
void NodeCore::flush_failed(DiskState& disk, const Error& error) {
  disk.stopped.store(true);
  const std::unique_lock pass(disk.gate);
  complain(disk, error);
  if (disk.deleted || disk.record.flush_failed) return;
  SessionRecord changed = disk.record;
  changed.flush_failed = true;
  auto saved = disk.save_session(changed);
  // Kept in memory then: only a second failure, the end of this process, would lose it.
  if (!saved.ok()) complain(disk, saved.error());
}

}  // namespace ukai
