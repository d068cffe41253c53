// SPDX-License-Identifier: BSD-2-Clause
#include "ctl/heat_source.h"

#include "ctl/lookup.h"

namespace ukai::ctl {
namespace {

Task<HostHeat> ask_host(DaemonCalls& calls, pb::HostRecord host, std::string disk_id) {
  HostHeat heat;
  heat.host = host.id();
  heat.site = host.site();
  pb::DiskStatusRequest request;
  request.add_disk_ids(disk_id);
  auto reply = co_await calls.disk_status(host, request);
  heat.answered = reply.ok();
  if (!reply || reply->disks_size() == 0) co_return heat;
  const pb::DiskStatusInfo& info = reply->disks(0);
  heat.range_blocks = std::max<std::uint64_t>(info.range_blocks(), 1);
  heat.ranges.assign(info.ranges().begin(), info.ranges().end());
  co_return heat;
}

Task<std::vector<HostHeat>> ask_each(DaemonCalls& calls, std::vector<pb::HostRecord> hosts,
                                     std::string disk_id) {
  std::vector<Task<HostHeat>> questions;
  for (const pb::HostRecord& host : hosts) questions.push_back(ask_host(calls, host, disk_id));
  auto answers = co_await gather(std::move(questions));
  co_return answers;
}

}  // namespace

Result<std::vector<HostHeat>> ask_heats(Context& context, const std::string& disk_id) {
  auto hosts = load_hosts(context);
  if (!hosts) return hosts.error();
  return sync_wait(ask_each(context.calls(), *hosts, disk_id));
}

}  // namespace ukai::ctl
