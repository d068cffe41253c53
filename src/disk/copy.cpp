// SPDX-License-Identifier: BSD-2-Clause
#include "disk/copy.h"

#include <algorithm>

#include "disk/repair.h"
#include "disk/requests.h"

namespace ukai {

std::vector<BlockVersion> versions_in(const pb::DirtyListReply& spans, const Geometry& geometry) {
  std::vector<BlockVersion> out;
  for (const pb::BlockSpan& span : spans.blocks()) {
    const std::uint64_t end = std::min(span.end(), geometry.block_count());
    for (std::uint64_t block = span.begin(); block < end; ++block) {
      out.push_back({BlockIndex{block}, Generation{span.generation()}});
    }
  }
  return out;
}

namespace {

Task<CopyOutcome> pull(DiskCore& core, BlockVersion version, std::size_t source, std::size_t target,
                       bool damage_too) {
  pb::PullRequest request;
  request.set_damage_too(damage_too);
  std::shared_ptr<NodeLink> link;
  Session target_session{};
  Session source_session{};
  {
    std::lock_guard lock(core.mutex);
    const Replica& from = *core.replicas[source];
    const Replica& to = *core.replicas[target];
    link = to.link;
    target_session = to.session;
    source_session = from.session;
    *request.mutable_ref() = core.ref(to);
    request.set_block(raw(version.block));
    request.set_generation(raw(version.generation));
    request.set_source_node(from.node.str());
    request.set_source_data_address(from.data_address);
    request.set_source_control_address(from.control_address);
    // Other copies hold the block's range, so the guest may be waiting for them.
    if (to.healing) request.set_rate_bytes_per_s(core.options.heal_rate_bytes_per_s);
    request.set_missing_mask(core.members.missing_mask() & ~(std::uint64_t{1} << target));
    if (to.healing) request.set_from_sequence(to.forward_from);
    const Geometry geometry{core.entry.record.size(), core.entry.record.block_size()};
    request.set_length(static_cast<std::uint32_t>(geometry.range_of(version.block).size_bytes()));
  }
  CopyOutcome out;
  auto reply = co_await link->pull(request);
  if (reply.ok()) {
    out.ok = true;
    out.bytes_fetched = reply->bytes_fetched();
    core.counters.healed_blocks += 1;
    core.counters.healed_bytes += out.bytes_fetched;
    co_return out;
  }
  out.error = reply.error();
  out.damaged = out.error.code == Code::corrupt;
  // Which of the two failed? Both are asked; a side that does not answer loses its session.
  const bool target_fine = co_await ping(core, target, target_session);
  co_await ping(core, source, source_session);
  out.target_failed = !target_fine || out.error.code == Code::no_space;
  co_return out;
}

Task<void> repair_source(DiskCore& core, BlockIndex block, std::size_t source, BlockHold hold) {
  Repairer repairer(core);
  const auto size = static_cast<std::uint32_t>(core.geometry().range_of(block).size_bytes());
  BlockPart part;
  part.block = block;
  const std::vector<std::size_t> members{source};
  while (part.offset_bytes < size) {
    part.length_bytes = std::min(size - part.offset_bytes, limits::io_bytes_max);
    // What cannot be repaired is told by the next pull.
    if (hold == BlockHold::held) {
      static_cast<void>(co_await repairer.repair_held(part, source));
    } else {
      static_cast<void>(co_await repairer.repair(part, members));
    }
    part.offset_bytes += part.length_bytes;
  }
}

}  // namespace

Task<CopyOutcome> copy_block(DiskCore& core, BlockVersion version, std::size_t source,
                             std::size_t target) {
  co_return co_await pull(core, version, source, target, false);
}

Task<CopyOutcome> copy_despite_damage(DiskCore& core, BlockVersion version, std::size_t source,
                                      std::size_t target, BlockHold hold) {
  CopyOutcome out = co_await pull(core, version, source, target, false);
  if (!out.damaged) co_return out;
  Generation head{};
  {
    std::lock_guard lock(core.mutex);
    head = Generation{core.entry.record.generation()};
  }
  if (version.generation == head) co_await repair_source(core, version.block, source, hold);
  co_return co_await pull(core, version, source, target, true);
}

std::optional<std::size_t> source_for(DiskCore& core, BlockIndex block, std::size_t except) {
  const auto view = core.map.find(block);
  if (!view) return std::nullopt;
  std::lock_guard lock(core.mutex);
  std::optional<std::size_t> best;
  for (std::size_t index : core.members.in_sync(view->locations(block))) {
    const Replica& replica = *core.replicas[index];
    if (index == except || replica.state != Replica::State::open) continue;
    if (!best || replica.rank < core.replicas[*best]->rank) best = index;
  }
  return best;
}

}  // namespace ukai
