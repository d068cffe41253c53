// SPDX-License-Identifier: BSD-2-Clause
#include <fmt/format.h>

#include <algorithm>

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
  context.print(context.json() ? node_info_json(*node, on_node) : node_info_text(*node, on_node));
  return {};
}

}  // namespace ukai::ctl
