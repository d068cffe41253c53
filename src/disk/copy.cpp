// SPDX-License-Identifier: BSD-2-Clause
#include "disk/copy.h"

#include <algorithm>

#include "disk/repair.h"
#include "disk/requests.h"
#include "ukai/site_path.h"

namespace ukai {

std::vector<BlockVersion> versions_in(DiskCore& core, const pb::DirtyListReply& spans) {
  std::lock_guard lock(core.mutex);
  const Geometry geometry = core.geometry();
  std::vector<BlockVersion> out;
  for (const pb::BlockSpan& span : spans.blocks()) {
    const std::uint64_t end = std::min(span.end(), geometry.block_count());
    for (std::uint64_t block = span.begin(); block < end; ++block) {
      out.push_back({BlockIndex{block}, core.head});
    }
  }
  return out;
}

namespace {

using namespace std::chrono_literals;
constexpr Duration busy_pause_min = 50ms;
constexpr Duration busy_pause_max = 800ms;

Task<CopyOutcome> pull(DiskCore& core, BlockVersion version, std::size_t source, std::size_t target,
                       bool damage_too, std::optional<CopyTerms> terms = std::nullopt) {
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
    // A change of an older version shows in younger ones, and a younger one may have begun as what
    // the target had instead of it: so all of them are made equal.
    request.set_all_versions(core.entry.record.generation() > 1);
    request.set_source_node(from.node.str());
    request.set_source_data_address(from.data_address);
    request.set_source_control_address(from.control_address);
    // Other copies hold the block's range, so the guest may be waiting for them.
    if (!terms && to.healing) {
      terms.emplace(CopyTerms{to.forward_from, core.options.heal_rate_bytes_per_s});
    }
    if (terms) {
      request.set_rate_bytes_per_s(terms->rate_bytes_per_s);
      request.set_from_sequence(terms->forward_from);
      request.set_gives_way(terms->gives_way);
    }
    request.set_missing_mask(core.members.missing_mask() & ~(std::uint64_t{1} << target));
    const Geometry geometry = core.geometry();
    request.set_length(static_cast<std::uint32_t>(geometry.range_of(version.block).size_bytes()));
  }
  CopyOutcome out;
  auto reply = co_await link->pull(request);
  // The node has as many copies to make as it takes; that is no failure of anybody's.
  const TimePoint give_up = core.now() + limits::copy_deadline;
  for (Duration pause = busy_pause_min; reply.failed_with(Code::busy) && core.now() < give_up;
       pause = std::min(pause * 2, busy_pause_max)) {
    if (core.stop_reason()) break;
    co_await sleep_for(core.services.scheduler, pause);
    reply = co_await link->pull(request);
  }
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
                                      std::size_t target, BlockHold hold,
                                      std::optional<CopyTerms> terms) {
  CopyOutcome out = co_await pull(core, version, source, target, false, terms);
  if (!out.damaged) co_return out;
  co_await repair_source(core, version.block, source, hold);
  co_return co_await pull(core, version, source, target, true, terms);
}

std::optional<std::size_t> source_for(DiskCore& core, BlockIndex block, std::size_t except) {
  const auto view = core.map.find(block);
  if (!view) return std::nullopt;
  std::lock_guard lock(core.mutex);
  // Near the target; among those alike, near this host, which knows how fast they answer.
  const std::string& site = core.replicas[except]->site;
  const auto distance = [&](std::size_t index) {
    const Replica& replica = *core.replicas[index];
    return std::pair(-common_site_depth(replica.site, site), replica.rank);
  };
  std::optional<std::size_t> best;
  for (std::size_t index : core.members.in_sync(view->locations(block))) {
    if (index == except || core.replicas[index]->state != Replica::State::open) continue;
    if (!best || distance(index) < distance(*best)) best = index;
  }
  return best;
}

}  // namespace ukai
