// SPDX-License-Identifier: BSD-2-Clause
#include "disk/repair.h"

#include <fmt/format.h>

#include <algorithm>

#include "base/log.h"
#include "disk/extents.h"

namespace ukai {
namespace {

constexpr std::uint32_t unit_bytes = BlockStore::unit_bytes;

IoRequest about(DiskCore& core, IoOp op, BlockPart part) {
  IoRequest request;
  request.op = op;
  request.block = part.block;
  request.offset_bytes = part.offset_bytes;
  request.length_bytes = part.length_bytes;
  std::lock_guard lock(core.mutex);
  request.generation = core.head;
  return request;
}

}  // namespace

BlockPart Repairer::whole_units(BlockPart part) {
  const std::uint32_t end = part.offset_bytes + part.length_bytes;
  part.offset_bytes = part.offset_bytes / unit_bytes * unit_bytes;
  part.length_bytes = (end + unit_bytes - 1) / unit_bytes * unit_bytes - part.offset_bytes;
  return part;
}

std::optional<Target> Repairer::target(std::size_t index) {
  std::lock_guard lock(core_.mutex);
  const Replica& replica = *core_.replicas[index];
  if (replica.state != Replica::State::open) return std::nullopt;
  Target out;
  out.index = index;
  out.session = replica.session;
  out.link = replica.link;
  return out;
}

/// In-sync replicas that can be asked, nearest first.
std::vector<Target> Repairer::sources(BlockIndex block, std::size_t except) {
  std::vector<Target> out;
  const auto view = core_.map.find(block);
  if (!view) return out;
  std::lock_guard lock(core_.mutex);
  for (std::size_t index : core_.members.in_sync(view->locations(block))) {
    const Replica& replica = *core_.replicas[index];
    if (index == except || replica.state != Replica::State::open) continue;
    Target source;
    source.index = index;
    source.session = replica.session;
    source.link = replica.link;
    out.push_back(std::move(source));
  }
  std::sort(out.begin(), out.end(), [&](const Target& a, const Target& b) {
    return core_.replicas[a.index]->rank < core_.replicas[b.index]->rank;
  });
  return out;
}

Task<Result<std::vector<Extent>>> Repairer::look(BlockPart part, std::size_t index) {
  const auto asked = target(index);
  if (!asked) {
    co_return Error{Code::unreachable,
                    "node " + core_.replicas[index]->node.str() + " cannot be asked"};
  }
  IoReply reply = co_await send_to(core_, about(core_, IoOp::check, part), *asked);
  if (!reply.ok) {
    co_return Error{reply.code, "node " + core_.replicas[index]->node.str() + ": " + reply.what};
  }
  co_return decode_extents(reply.data);
}

Task<Result<Repairer::Outcome>> Repairer::repair_held(BlockPart part, std::size_t index) {
  auto bad = co_await look(part, index);
  if (!bad) co_return bad.error();
  Outcome outcome;
  for (const Extent& extent : *bad) {
    for (std::uint32_t at = extent.begin_bytes; at < extent.end_bytes; at += unit_bytes) {
      BlockPart unit = part;
      unit.offset_bytes = at;
      unit.length_bytes = unit_bytes;
      const auto damaged = target(index);
      Mended mended = Mended::not_now;
      if (damaged) mended = co_await mend(unit, *damaged);
      ++outcome.damaged;
      outcome.repaired += mended == Mended::yes ? 1 : 0;
      outcome.undecided = outcome.undecided || mended == Mended::not_now;
    }
    BlockPart told = part;
    told.offset_bytes = extent.begin_bytes;
    told.length_bytes = extent.end_bytes - extent.begin_bytes;
    const bool all = outcome.damaged == outcome.repaired;
    report(told, index,
           all                 ? "repaired"
           : outcome.undecided ? "not repaired yet"
                               : "no good replica");
  }
  core_.counters.damaged_units += outcome.damaged;
  core_.counters.repaired_units += outcome.repaired;
  co_return outcome;
}

std::size_t Repairer::others_in_sync(BlockIndex block, std::size_t index) {
  const auto view = core_.map.find(block);
  std::lock_guard lock(core_.mutex);
  const auto in_sync = core_.members.in_sync(view->locations(block));
  return static_cast<std::size_t>(
      std::count_if(in_sync.begin(), in_sync.end(), [&](std::size_t one) { return one != index; }));
}

/// An ordinary change, of which the other replicas have the content already.
Task<Repairer::Mended> Repairer::mend(BlockPart unit, Target damaged) {
  std::size_t damaged_too = 0;
  for (const Target& source : sources(unit.block, damaged.index)) {
    IoReply good = co_await send_to(core_, about(core_, IoOp::read, unit), source);
    damaged_too += !good.ok && good.code == Code::corrupt ? 1 : 0;
    if (!good.ok || good.data.size() != unit.length_bytes) continue;
    IoRequest write = about(core_, IoOp::write, unit);
    write.data = std::move(good.data);
    write.sequence = core_.next_sequence();
    {
      std::lock_guard lock(core_.mutex);
      write.missing_mask = core_.members.missing_mask();
    }
    const IoReply written = co_await send_to(core_, std::move(write), damaged);
    if (!written.ok) co_return Mended::not_now;
    std::lock_guard lock(core_.mutex);
    core_.replicas[damaged.index]->changes_acked += 1;
    co_return Mended::yes;
  }
  co_return damaged_too == others_in_sync(unit.block, damaged.index) ? Mended::no : Mended::not_now;
}

Task<Result<Repairer::Outcome>> Repairer::repair(BlockPart part, std::vector<std::size_t> members) {
  const BlockPart units = whole_units(part);
  const ByteRange range = core_.geometry().range_of(units);
  auto guard =
      co_await core_.locks.acquire(range, RangeLocks::Mode::exclusive, core_.options.io_wait);
  if (!guard.holds()) co_return Error{Code::io, "a write to a damaged block does not end"};
  Outcome total;
  for (std::size_t index : members) {
    auto outcome = co_await repair_held(units, index);
    if (!outcome) co_return outcome.error();
    total.damaged += outcome->damaged;
    total.repaired += outcome->repaired;
    total.undecided = total.undecided || outcome->undecided;
  }
  co_return total;
}

Task<void> Repairer::repair_later(BlockPart part, std::vector<std::size_t> members) {
  const auto done = co_await repair(part, std::move(members));
  if (!done) {
    log::warn("event=repair_failed disk={} block={} what=\"{}\"", core_.name(), raw(part.block),
              done.error().what);
  }
}

void Repairer::report(BlockPart part, std::size_t index, std::string_view outcome) {
  const std::string node = core_.replicas[index]->node.str();
  const std::string name = core_.name();
  log::error("event=damage disk={} block={} node={} begin={} end={} outcome=\"{}\"", name,
             raw(part.block), node, part.offset_bytes, part.offset_bytes + part.length_bytes,
             outcome);
  core_.services.errors.add(
      node, name,
      fmt::format("block {}: bytes {}..{} do not fit their checksum: {}", raw(part.block),
                  part.offset_bytes, part.offset_bytes + part.length_bytes, outcome));
}

}  // namespace ukai
