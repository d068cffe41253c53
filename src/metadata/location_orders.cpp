// SPDX-License-Identifier: BSD-2-Clause
#include "ukai/location_orders.h"

#include <fmt/format.h>

#include <algorithm>

namespace ukai {

LocationsWanted wanted_by(const pb::ChangeDiskRequest& request, const Geometry& geometry) {
  const auto& change =
      request.has_add_locations() ? request.add_locations() : request.remove_locations();
  LocationsWanted out;
  for (const std::string& node : change.nodes()) out.nodes.emplace_back(node);
  const std::uint64_t end = change.end() == 0 ? geometry.block_count() : change.end();
  out.blocks = {BlockIndex{change.begin()}, BlockIndex{std::min(end, geometry.block_count())}};
  out.where = NodeId(change.where());
  out.only_out_of_sync = change.only_out_of_sync();
  return out;
}

std::vector<Catalog::Order> delete_orders(const LocationsChanged& changed, Epoch epoch) {
  std::vector<Catalog::Order> out;
  for (const auto& [node, ranges] : changed.taken_off) {
    Catalog::Order order;
    order.node = node;
    order.key = changed.record.id() + "-" + DiskId::random().to_string();
    order.record.set_disk_id(changed.record.id());
    order.record.set_disk_name(changed.record.name());
    order.record.set_epoch(raw(epoch));
    for (const BlockRange& range : ranges) {
      pb::TrashBlocks* blocks = order.record.add_blocks();
      blocks->set_begin(raw(range.begin));
      blocks->set_end(raw(range.end));
    }
    out.push_back(std::move(order));
  }
  return out;
}

pb::EventRecord location_event(const pb::ChangeDiskRequest& request,
                               const LocationsWanted& wanted) {
  pb::EventRecord event;
  event.set_what(request.has_add_locations() ? "locations_added" : "locations_removed");
  event.set_who(request.asked_by());
  std::string nodes;
  for (const NodeId& node : wanted.nodes) nodes += (nodes.empty() ? "" : ", ") + node.str();
  event.set_text(fmt::format("blocks {}-{} on {}", raw(wanted.blocks.begin),
                             raw(wanted.blocks.end) - 1, nodes));
  return event;
}

}  // namespace ukai
