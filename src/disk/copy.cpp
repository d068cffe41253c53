// SPDX-License-Identifier: BSD-2-Clause
#include "disk/copy.h"

#include <algorithm>

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

Task<CopyOutcome> copy_block(DiskCore& core, BlockVersion version, std::size_t source,
                             std::size_t target) {
  pb::PullRequest request;
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
  // Which of the two failed? Both are asked; a side that does not answer loses its session.
  const bool target_fine = co_await ping(core, target, target_session);
  co_await ping(core, source, source_session);
  out.target_failed = !target_fine || out.error.code == Code::no_space;
  co_return out;
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
