// SPDX-License-Identifier: BSD-2-Clause
#pragma once

#include <string>
#include <vector>

#include "ctl/context.h"
#include "ctl/lookup.h"
#include "ukai_host.pb.h"

/// The cluster as a whole: what `status`, `errors` and `diag` show.
namespace ukai::ctl {

/// One host and its answer, or why there is none.
struct HostAnswer {
  pb::HostRecord record;
  Result<pb::HostStatusReply> reply = Error{Code::unreachable, "no answer"};
};

struct ClusterState {
  std::vector<NodeInfo> nodes;
  std::vector<HostAnswer> hosts;
  std::vector<DiskSummary> disks;
};

/// Asks the metadata and all hosts.
Result<ClusterState> load_cluster(Context& context);
/// Asks all hosts at once.
Result<std::vector<HostAnswer>> ask_hosts(Context& context);

/// How much of it is well.
struct ClusterCounts {
  std::uint64_t nodes_up = 0;
  std::vector<std::string> nodes_down;
  std::vector<std::string> hosts_silent;
  std::uint64_t healthy = 0;  ///< disks, from here on
  std::uint64_t degraded = 0;
  std::uint64_t unavailable = 0;
  std::uint64_t corrupt = 0;
};
ClusterCounts count(const ClusterState& state);
/// Nothing is down, missing or unreachable.
bool is_healthy(const ClusterState& state);
std::string status_text(const ClusterState& state, const std::string& servers);

/// An error that a host remembers; newest first in lists.
struct HostError {
  std::string host;
  pb::ErrorEntry entry;
};
std::vector<HostError> collect_errors(const std::vector<HostAnswer>& hosts);
std::string errors_table(const std::vector<HostAnswer>& hosts);

/// Every host with its links to the nodes.
std::string hosts_text(const std::vector<HostAnswer>& hosts);

}  // namespace ukai::ctl
