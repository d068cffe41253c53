// SPDX-License-Identifier: BSD-2-Clause
#include <fmt/format.h>

#include <algorithm>
#include "ctl/commands.h"
#include "ctl/create_plan.h"
#include "ctl/disk_json.h"
#include "ctl/table.h"

namespace ukai::ctl {
namespace {

Result<pb::HostsChange> parse_hosts(const DiskHostsOptions& options) {
  pb::HostsChange change;
  auto allow = split_list(options.allow, "--allow");
  if (!allow) return allow.error();
  auto deny = split_list(options.deny, "--deny");
  if (!deny) return deny.error();
  for (const std::string& host : *deny) {
    if (std::find(allow->begin(), allow->end(), host) != allow->end()) {
      return Error{Code::invalid,
                   fmt::format("host {} is both allowed and denied", one_line(host))};
    }
  }
  for (const auto* hosts : {&*allow, &*deny}) {
    for (const std::string& host : *hosts) {
      auto id = parse_id(host, "host");
      if (!id) return id.error();
    }
  }
  change.mutable_allow()->Add(allow->begin(), allow->end());
  change.mutable_deny()->Add(deny->begin(), deny->end());
  return change;
}

}  // namespace

Result<> disk_hosts(Context& context, const DiskHostsOptions& options) {
  const bool only_show = options.allow.empty() && options.deny.empty();
  Changed changed;
  if (only_show) {
    auto entry = load_disk(context, options.name);
    if (!entry) return entry.error();
    changed.record = entry->record;
  } else {
    auto hosts = parse_hosts(options);
    if (!hosts) return hosts.error();
    pb::ChangeDiskRequest request;
    *request.mutable_hosts() = *hosts;
    auto result = change_disk(context, options.name, request);
    if (!result) return result.error();
    changed = *result;
  }
  if (context.json()) {
    context.print(change_json("disk_hosts", changed));
  } else if (only_show && changed.record.allowed_hosts().empty()) {
    context.print("any host\n");
  } else if (only_show) {
    for (const std::string& host : changed.record.allowed_hosts()) context.print(host + "\n");
  }
  return {};
}

Result<> add_hypervisor(Context& context, const HypervisorOptions& options) {
  return disk_hosts(context, {options.name, {options.host}, {}});
}

Result<> remove_hypervisor(Context& context, const HypervisorOptions& options) {
  return disk_hosts(context, {options.name, {}, {options.host}});
}

}  // namespace ukai::ctl
