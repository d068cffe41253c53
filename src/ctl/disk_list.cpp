// SPDX-License-Identifier: BSD-2-Clause
#include "ctl/commands.h"
#include "ctl/disk_json.h"

namespace ukai::ctl {

Result<> disk_list(Context& context, const NoOptions&) {
  auto nodes = load_nodes(context);
  if (!nodes) return nodes.error();
  auto disks = load_summaries(context, *nodes);
  if (!disks) return disks.error();
  context.print(context.json() ? disk_list_json(*disks) : disk_list_table(*disks));
  return {};
}

}  // namespace ukai::ctl
