// SPDX-License-Identifier: BSD-2-Clause
//
// Blocks of an attached disk get locations, lose them, and become in sync (design.md section 7).
#include <fmt/format.h>

#include <algorithm>
#include <set>

#include "base/log.h"
#include "disk/membership.h"
#include "ukai/location_orders.h"

namespace ukai {
namespace {

using namespace std::chrono_literals;
constexpr std::size_t segments_at_once = 32;  // of one transaction: ~100 kB each at worst
constexpr Duration release_pause = 500ms;

std::vector<pb::MapSegment> plain(const std::vector<SegmentEntry>& entries) {
  std::vector<pb::MapSegment> out;
  for (const SegmentEntry& entry : entries) out.push_back(entry.segment);
  return out;
}

/// With the versions that they were changed from.
std::vector<SegmentEntry> versioned(std::vector<pb::MapSegment> segments,
                                    const std::vector<SegmentEntry>& entries) {
  std::vector<SegmentEntry> out;
  for (pb::MapSegment& segment : segments) {
    const auto at = std::find_if(entries.begin(), entries.end(), [&](const SegmentEntry& entry) {
      return entry.segment.segment() == segment.segment();
    });
    out.push_back({std::move(segment), at->version});
  }
  return out;
}

}  // namespace

/// Of some segments' blocks: one transaction. Changes nothing when it is so already.
Task<Result<>> Membership::change_some(pb::ChangeDiskRequest request, BlockRange blocks,
                                       std::vector<Catalog::Order>& given) {
  const bool adds = request.has_add_locations();
  LocationsWanted wanted = wanted_by(request, core_.geometry());
  wanted.blocks = blocks;
  for (;;) {
    if (auto reason = core_.stop_reason()) co_return *reason;
    DiskEntry base;
    {
      std::lock_guard lock(core_.mutex);
      base = core_.entry;
    }
    const Geometry geometry{base.record.size(), base.record.block_size()};
    auto entries = co_await load_all_segments(geometry);
    if (!entries) co_return entries.error();
    const auto before = plain(*entries);
    auto changed = adds ? add_locations(base.record, before, wanted)
                        : remove_locations(base.record, before, wanted);
    if (!changed) co_return changed.error();
    if (changed->segments.empty()) co_return Unit{};
    auto orders = delete_orders(*changed, core_.lease.epoch);
    auto done = co_await commit(base, changed->record, versioned(changed->segments, *entries),
                                location_event(request, wanted), orders);
    if (!done) co_return done.error();
    if (*done == Retry::yes) continue;
    given.insert(given.end(), orders.begin(), orders.end());
    adopt_map(changed->segments, adds ? std::vector<NodeId>() : wanted.nodes, blocks);
    log::info("event={} disk={} replicas={}", adds ? "locations_added" : "locations_removed",
              base.record.name(), changed->replicas);
    co_return Unit{};
  }
}

/// From here on nothing new goes to what was taken off.
void Membership::adopt_map(const std::vector<pb::MapSegment>& segments,
                           const std::vector<NodeId>& taken_off, BlockRange blocks) {
  {
    std::lock_guard lock(core_.mutex);
    for (const pb::MapSegment& segment : segments) core_.map.replace(segment);
    for (const auto& arrival : core_.arrivals) {
      const NodeId& node = core_.replicas[arrival->member]->node;
      const bool off = std::find(taken_off.begin(), taken_off.end(), node) != taken_off.end();
      if (off && blocks.contains(arrival->block)) arrival->failed = true;
    }
  }
  core_.changed.notify();
}

Task<Result<pb::DiskRecord>> Membership::change_locations(pb::ChangeDiskRequest request) {
  auto guard = co_await core_.record_mutex.lock();
  const LocationsWanted wanted = wanted_by(request, core_.geometry());
  if (request.has_add_locations()) {
    auto clear = co_await core_.services.catalog.nothing_to_delete(core_.id, wanted.nodes);
    if (!clear) co_return clear.error();
  }
  const BlockRange all = wanted.blocks;
  std::vector<Catalog::Order> given;
  Result<> done;
  for (BlockRange some{all.begin, all.begin}; done.ok() && some.end < all.end;) {
    some.begin = some.end;
    const std::uint64_t end =
        (segment_of(some.begin) + std::uint64_t{segments_at_once}) * limits::segment_blocks;
    some.end = std::min(all.end, BlockIndex{end});
    done = co_await change_some(request, some, given);
  }
  if (!given.empty()) core_.tasks.spawn(release(std::move(given)));
  if (!done) co_return done.error();
  std::lock_guard lock(core_.mutex);
  co_return core_.entry.record;
}

/// When nothing that was sent before is under way any more, the nodes may delete.
Task<void> Membership::release(std::vector<Catalog::Order> orders) {
  const ByteRange all{0, core_.geometry().size_bytes};
  co_await core_.locks.drain(all, RangeLocks::Mode::exclusive);
  Sequence last{};  // of what was sent before, though it may still be on its way
  {
    std::lock_guard lock(core_.mutex);
    last = Sequence{++core_.last_sequence};  // a copy that began before has at most this
  }
  for (const Catalog::Order& order : orders) {
    while (!core_.stop_reason()) {
      auto done = co_await core_.services.catalog.release_trash(order.node, order.key, last);
      if (done.ok() || done.failed_with(Code::corrupt)) break;
      co_await sleep_for(core_.services.scheduler, release_pause);
    }
  }
}

Task<Result<std::vector<SegmentEntry>>> Membership::load_segments(
    std::vector<std::uint32_t> wanted) {
  std::vector<SegmentEntry> out;
  const Geometry geometry = core_.geometry();
  for (const std::uint32_t segment : wanted) {
    auto entry = co_await core_.services.catalog.load_segment(core_.id, segment);
    if (!entry) co_return entry.error();
    if (auto sound = check_segment(entry->segment, geometry); !sound) co_return sound.error();
    out.push_back(std::move(*entry));
  }
  co_return out;
}

Task<Result<std::size_t>> Membership::mark_arrived(std::vector<std::shared_ptr<Arrival>> arrivals) {
  auto guard = co_await core_.record_mutex.lock();
  for (;;) {
    if (auto reason = core_.stop_reason()) co_return *reason;
    // 1. Who has everything by now? From here on a failure of these is recorded.
    DiskEntry base;
    std::vector<BlockReplica> replicas;
    std::set<std::uint32_t> segments;
    {
      std::lock_guard lock(core_.mutex);
      base = core_.entry;
      for (const auto& arrival : arrivals) {
        const Replica& replica = *core_.replicas[arrival->member];
        const bool stands = replica.state == Replica::State::open &&
                            replica.session == arrival->session && !arrival->failed &&
                            !core_.members.missing(arrival->member);
        if (!stands && !arrival->committing) continue;
        arrival->committing = true;
        replicas.push_back({arrival->block, replica.node});
        segments.insert(segment_of(arrival->block));
      }
    }
    if (replicas.empty()) co_return 0;
    std::sort(replicas.begin(), replicas.end());
    // 2. What the map says then.
    std::vector<std::uint32_t> wanted(segments.begin(), segments.end());
    auto entries = co_await load_segments(std::move(wanted));
    if (!entries) {
      co_await sleep_for(core_.services.scheduler, release_pause);
      if (entries.failed_with(Code::corrupt)) co_return entries.error();
      continue;
    }
    const auto before = plain(*entries);
    const auto changed = set_status(base.record, before, replicas, SyncStatus::in_sync);
    if (!changed.segments.empty()) {
      auto done = co_await commit(base, changed.record, versioned(changed.segments, *entries));
      if (!done) co_return done.error();
      if (*done == Retry::yes) continue;
    }
    // 3. In one step for all who plan: in the map, and no longer on the way.
    std::lock_guard lock(core_.mutex);
    for (const pb::MapSegment& segment : changed.segments) core_.map.replace(segment);
    std::erase_if(core_.arrivals, [](const auto& arrival) { return arrival->committing; });
    co_return replicas.size();
  }
}

}  // namespace ukai
