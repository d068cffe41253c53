// SPDX-License-Identifier: BSD-2-Clause
#include "ctl/cluster_state.h"

namespace ukai::ctl {
namespace {

Task<HostAnswer> ask_host(DaemonCalls& calls, pb::HostRecord host) {
  HostAnswer answer;
  answer.record = host;
  answer.reply = co_await calls.host_status(host);
  co_return answer;
}

Task<std::vector<HostAnswer>> ask_each(DaemonCalls& calls, std::vector<pb::HostRecord> hosts) {
  std::vector<Task<HostAnswer>> questions;
  for (const pb::HostRecord& host : hosts) questions.push_back(ask_host(calls, host));
  std::vector<HostAnswer> answers = co_await gather(std::move(questions));
  co_return answers;
}

}  // namespace

Result<std::vector<HostAnswer>> ask_hosts(Context& context) {
  auto hosts = load_hosts(context);
  if (!hosts) return hosts.error();
  return sync_wait(ask_each(context.calls(), *hosts));
}

Result<ClusterState> load_cluster(Context& context) {
  ClusterState state;
  auto nodes = load_nodes(context);
  if (!nodes) return nodes.error();
  state.nodes = std::move(*nodes);
  auto disks = load_summaries(context, state.nodes);
  if (!disks) return disks.error();
  state.disks = std::move(*disks);
  auto hosts = ask_hosts(context);
  if (!hosts) return hosts.error();
  state.hosts = std::move(*hosts);
  return state;
}

}  // namespace ukai::ctl
