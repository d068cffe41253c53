// SPDX-License-Identifier: BSD-2-Clause
#include "ctl/locations.h"

#include <fmt/format.h>

#include <algorithm>

#include "ctl/lookup.h"
#include "ctl/map_rows.h"
#include "ukai/location_orders.h"

namespace ukai::ctl {
namespace {

using Change = Result<LocationsChanged> (*)(pb::DiskRecord, const std::vector<pb::MapSegment>&,
                                            const LocationsWanted&);

Change change_of(const pb::ChangeDiskRequest& request) {
  return request.has_add_locations() ? &add_locations : &remove_locations;
}

/// Nobody uses the disk: there is nothing under way that a deletion could harm.
Result<pb::DiskRecord> change_alone(Context& context, DiskId disk,
                                    const pb::ChangeDiskRequest& request) {
  auto lease = AdminLease::take(context, disk);
  if (!lease) return lease.error();
  const DiskEntry& entry = (*lease)->entry();
  const LocationsWanted wanted =
      wanted_by(request, {entry.record.size(), entry.record.block_size()});
  Catalog& catalog = context.catalog();
  if (request.has_add_locations()) {
    auto clear = context.ask(catalog.nothing_to_delete(disk, wanted.nodes));
    if (!clear) return clear.error();
  }
  auto segments = load_map(context, entry.record, all_blocks(entry.record));
  if (!segments) return segments.error();
  auto changed = change_of(request)(entry.record, *segments, wanted);
  if (!changed) return changed.error();
  if (changed->segments.empty()) return entry.record;
  std::vector<SegmentEntry> entries;
  for (pb::MapSegment& segment : changed->segments) {
    auto now = context.ask(catalog.load_segment(disk, segment.segment()));
    if (!now) return now.error();
    entries.push_back({std::move(segment), now->version});
  }
  auto orders = delete_orders(*changed, (*lease)->lease().epoch);
  for (Catalog::Order& order : orders) order.record.set_released(true);
  auto done = context.ask(catalog.update_disk_and_map(
      (*lease)->lease(), entry, changed->record, entries, location_event(request, wanted), orders));
  if (!done) return done.error();
  return done->record;
}

}  // namespace

Result<BlockRange> blocks_typed(const std::string& typed, const pb::DiskRecord& record) {
  const BlockRange all = all_blocks(record);
  if (typed.empty()) return all;
  return parse_blocks(typed, all.count());
}

Result<> check_targets(Context& context, const std::vector<std::string>& nodes) {
  auto known = load_nodes(context);
  if (!known) return known.error();
  for (const std::string& id : nodes) {
    const auto node = std::find_if(known->begin(), known->end(),
                                   [&](const NodeInfo& info) { return info.record.id() == id; });
    if (node == known->end()) {
      return Error{Code::not_found, fmt::format("there is no node named '{}'", id)};
    }
    if (!node->alive) {
      return Error{Code::refused, fmt::format("node {} is down; nothing was changed", id)};
    }
    if (node->record.admin_state() == "draining") {
      return Error{Code::refused, fmt::format("node {} is being drained; nothing was changed", id)};
    }
  }
  return {};
}

Result<Changed> change_locations(Context& context, const pb::DiskRecord& record, Locations what,
                                 const std::vector<std::string>& nodes, BlockRange blocks,
                                 const std::string& where) {
  pb::ChangeDiskRequest request;
  request.set_disk_id(record.id());
  pb::LocationChange* change =
      what == Locations::add ? request.mutable_add_locations() : request.mutable_remove_locations();
  for (const std::string& node : nodes) change->add_nodes(node);
  change->set_begin(raw(blocks.begin));
  change->set_end(raw(blocks.end));
  change->set_where(where);
  // 1. Bad input and what is so already disturb nobody.
  auto segments = load_map(context, record, all_blocks(record));
  if (!segments) return segments.error();
  auto planned = change_of(request)(record, *segments,
                                    wanted_by(request, {record.size(), record.block_size()}));
  if (!planned) return planned.error();
  if (planned->replicas == 0) return Changed{record, false};
  // 2. The holder changes it, or we do.
  auto changed = change_through(context, record, request, &change_alone);
  if (!changed) return changed.error();
  return Changed{*changed, true};
}

}  // namespace ukai::ctl
