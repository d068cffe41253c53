// SPDX-License-Identifier: BSD-2-Clause
#pragma once

#include <string>
#include <vector>

#include "ctl/cluster_state.h"

/// Where everything stands, as text and as a document; no I/O.
namespace ukai::ctl {

/// Sites as a tree of their paths, with nodes and hosts; then how far each host is from each node.
std::string topology_text(const std::vector<NodeInfo>& nodes, const std::vector<HostAnswer>& hosts);
std::string topology_json(const std::vector<NodeInfo>& nodes, const std::vector<HostAnswer>& hosts);

/// What the host says of its link to the node; null when it says nothing or the link is down.
const pb::NodeLinkStatus* link_to(const HostAnswer& host, const std::string& node);

/// "0.21 ms"; "-" when it is not known.
std::string latency_text(std::uint64_t latency_us);

}  // namespace ukai::ctl
