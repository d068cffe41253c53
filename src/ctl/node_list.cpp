// SPDX-License-Identifier: BSD-2-Clause
#include "ctl/cluster_json.h"
#include "ctl/commands.h"

namespace ukai::ctl {

Result<> node_list(Context& context, const NoOptions&) {
  auto nodes = load_nodes(context);
  if (!nodes) return nodes.error();
  context.print(context.json() ? node_list_json(*nodes) : node_list_table(*nodes));
  return {};
}

}  // namespace ukai::ctl
