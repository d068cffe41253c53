// SPDX-License-Identifier: BSD-2-Clause
#include "ctl/cluster_json.h"
#include "ctl/commands.h"

namespace ukai::ctl {

Result<> status(Context& context, const NoOptions&) {
  auto state = load_cluster(context);
  if (!state) return state.error();
  const std::string& servers = context.settings().servers;
  context.print(context.json() ? status_json(*state, servers) : status_text(*state, servers));
  return {};
}

Result<> errors(Context& context, const NoOptions&) {
  auto hosts = ask_hosts(context);
  if (!hosts) return hosts.error();
  context.print(context.json() ? errors_json(*hosts) : errors_table(*hosts));
  return {};
}

}  // namespace ukai::ctl
