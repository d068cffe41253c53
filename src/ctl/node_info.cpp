// SPDX-License-Identifier: BSD-2-Clause
#include <fmt/format.h>

#include <algorithm>
#include <optional>

#include "ctl/cluster_json.h"
#include "ctl/commands.h"

namespace ukai::ctl {

Result<> node_info(Context& context, const NodeOptions& options) {
  auto id = parse_id(options.node, "node");
  if (!id) return id.error();
  auto nodes = load_nodes(context);
  if (!nodes) return nodes.error();
  const auto node = std::find_if(nodes->begin(), nodes->end(),
                                 [&](const NodeInfo& info) { return info.record.id() == *id; });
  if (node == nodes->end()) {
    return Error{Code::not_found, fmt::format("there is no node named '{}'", *id)};
  }
  auto disks = load_summaries(context, *nodes);
  if (!disks) return disks.error();
  const NodeDisks on_node = disks_on(*id, *disks);
  // One that does not answer is told by its absence: the rest is known without it.
  std::optional<pb::HealthReply> health;
  if (node->alive) {
    auto asked = sync_wait(context.calls().node_health(node->record));
    if (asked.ok()) health = std::move(*asked);
  }
  if (health) {  // its record in ZooKeeper is renewed only now and then
    node->alive->set_free_bytes(health->free_bytes());
    node->alive->set_used_bytes(health->used_bytes());
  }
  context.print(context.json() ? node_info_json(*node, on_node, health)
                               : node_info_text(*node, on_node, health));
  return {};
}

}  // namespace ukai::ctl
