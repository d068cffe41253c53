// SPDX-License-Identifier: BSD-2-Clause
//
// A node that is gone for good leaves an attached disk.
#include <fmt/format.h>

#include "base/log.h"
#include "disk/membership.h"
#include "ukai/disk_change.h"
#include "ukai/limits.h"

namespace ukai {
namespace {

Error loses_blocks(const std::string& disk, const std::string& node, const NodeDropped& dropped) {
  std::uint64_t blocks = 0;
  for (const BlockRange& range : dropped.lost) blocks += range.count();
  return {Code::refused, fmt::format("disk {}: node {} has the only in-sync replica of {} blocks",
                                     disk, node, blocks)};
}

}  // namespace

Task<Result<std::vector<SegmentEntry>>> Membership::load_all_segments(const Geometry& geometry) {
  constexpr std::size_t batch_max = 64;
  std::vector<SegmentEntry> out;
  std::vector<Task<Result<SegmentEntry>>> batch;
  for (std::uint64_t i = 0; i < geometry.segment_count(); ++i) {
    const auto segment = static_cast<std::uint32_t>(i);
    batch.push_back(core_.services.catalog.load_segment(core_.id, segment));
    if (batch.size() < batch_max && i + 1 < geometry.segment_count()) continue;
    auto loaded = co_await gather(std::exchange(batch, {}));
    for (auto& entry : loaded) {
      if (!entry) co_return entry.error();
      if (auto sound = check_segment(entry->segment, geometry); !sound) co_return sound.error();
      out.push_back(std::move(*entry));
    }
  }
  co_return out;
}

Task<Result<pb::DiskRecord>> Membership::drop_node(pb::ChangeDiskRequest request) {
  auto guard = co_await core_.record_mutex.lock();
  if (auto reason = core_.stop_reason()) co_return *reason;
  DiskEntry base;
  {
    std::lock_guard lock(core_.mutex);
    base = core_.entry;
  }
  // 1. What becomes of the map.
  const std::string node = request.drop_node().node();
  const Geometry geometry{base.record.size(), base.record.block_size()};
  auto entries = co_await load_all_segments(geometry);
  if (!entries) co_return entries.error();
  std::vector<pb::MapSegment> segments;
  for (const SegmentEntry& entry : *entries) segments.push_back(entry.segment);
  NodeDropped dropped = ukai::drop_node(base.record, segments, NodeId(node));
  if (!dropped.lost.empty() && !request.drop_node().accept_loss()) {
    co_return loses_blocks(base.record.name(), node, dropped);
  }

  // 2. In the metadata. A failure of any kind leaves us with what we know: asked again, we look
  //    again.
  std::vector<SegmentEntry> changed;
  for (pb::MapSegment& segment : dropped.segments) {
    const std::int32_t version = (*entries)[segment.segment()].version;
    changed.push_back({std::move(segment), version});
  }
  pb::EventRecord event;
  event.set_what("node_removed");
  event.set_node(node);
  event.set_who(request.asked_by());
  event.set_text(dropped.lost.empty() ? "its replicas are forgotten"
                                      : "its replicas are forgotten; some blocks were only there");
  auto done = co_await core_.services.catalog.update_disk_and_map(core_.lease, base, dropped.record,
                                                                  changed, event);
  if (!done) co_return done.error();

  // 3. Members and sessions are those of an epoch: the next one begins with the next request.
  log::warn("event=node_dropped disk={} node={}", base.record.name(), node);
  core_.stop(Error{Code::stale, "the members of this disk have changed"});
  co_return done->record;
}

}  // namespace ukai
