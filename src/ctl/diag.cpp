// SPDX-License-Identifier: BSD-2-Clause
#include <fmt/format.h>

#include "base/version.h"
#include "ctl/cluster_json.h"
#include "ctl/commands.h"
#include "ctl/disk_view.h"
#include "ctl/table.h"

namespace ukai::ctl {
namespace {

Diagnosis diagnose(Context& context) {
  Coordination& coordination = context.catalog().coordination();
  Diagnosis about;
  about.identity = context.environment().identity;
  about.unix_s = context.environment().unix_s();
  about.servers = context.settings().servers;
  about.session = fmt::format("0x{:x}", coordination.session_id());
  about.session_timeout_ms = coordination.session_timeout_ms();
  about.timeout_ms = context.settings().timeout.count();
  return about;
}

std::string diag_text(const Diagnosis& diagnosis, const ClusterState& state) {
  Properties about;
  about.add("ukaictl", std::string(ukai::version_string));
  about.add("identity", diagnosis.identity);
  about.add("time", format_time(diagnosis.unix_s));
  about.add("metadata servers", diagnosis.servers);
  about.add("metadata session",
            fmt::format("{}, {} ms", diagnosis.session, diagnosis.session_timeout_ms));
  about.add("timeout", fmt::format("{} ms", diagnosis.timeout_ms));
  std::string text = "== ukaictl\n" + about.text();
  text += "\n== status\n" + status_text(state, diagnosis.servers);
  text += "\n== nodes\n" + node_list_table(state.nodes);
  text += "\n== hosts and their links\n" + hosts_text(state.hosts);
  text += "\n== disks\n" + disk_list_table(state.disks);
  text += "\n== errors\n" + errors_table(state.hosts);
  return text;
}

}  // namespace

Result<> diag(Context& context, const NoOptions&) {
  auto state = load_cluster(context);
  if (!state) return state.error();
  const Diagnosis about = diagnose(context);
  context.print(context.json() ? diag_json(about, *state) : diag_text(about, *state));
  return {};
}

Result<> show_version(Context& context, const NoOptions&) {
  context.print(context.json() ? version_json()
                               : fmt::format("ukaictl {}\n", ukai::version_string));
  return {};
}

}  // namespace ukai::ctl
