// SPDX-License-Identifier: BSD-2-Clause
#include "ctl/cluster_json.h"
#include "ctl/commands.h"

namespace ukai::ctl {

Result<> host_list(Context& context, const NoOptions&) {
  auto hosts = load_hosts(context);
  if (!hosts) return hosts.error();
  context.print(context.json() ? host_list_json(*hosts) : host_list_table(*hosts));
  return {};
}

}  // namespace ukai::ctl
