// SPDX-License-Identifier: BSD-2-Clause
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "ctl/cluster_state.h"
#include "ctl/node_view.h"

/// Nodes, hosts and the cluster as JSON documents (docs/ukaictl-json.md); no I/O.
namespace ukai::ctl {

std::string node_list_json(const std::vector<NodeInfo>& nodes);
std::string node_info_json(const NodeInfo& node, const NodeDisks& disks,
                           const std::optional<pb::HealthReply>& health);
std::string host_list_json(const std::vector<pb::HostRecord>& hosts);
std::string status_json(const ClusterState& state, const std::string& servers);
std::string errors_json(const std::vector<HostAnswer>& hosts);

/// This process and its session, as far as support wants to know.
struct Diagnosis {
  std::string identity;
  std::uint64_t unix_s = 0;
  std::string servers;
  std::string session;  ///< in hexadecimal, as ZooKeeper's own tools print it
  std::int64_t session_timeout_ms = 0;
  std::int64_t timeout_ms = 0;
};
std::string diag_json(const Diagnosis& about, const ClusterState& state);
std::string version_json();

}  // namespace ukai::ctl
