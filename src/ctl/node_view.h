// SPDX-License-Identifier: BSD-2-Clause
#pragma once

#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "ctl/lookup.h"
#include "ukai/catalog.h"
#include "ukai_host.pb.h"
#include "ukai_node.pb.h"

/// Nodes and hosts as text; no I/O.
namespace ukai::ctl {

/// "active" or "draining".
std::string admin_state(const pb::NodeRecord& record);
std::string node_list_table(const std::vector<NodeInfo>& nodes);

/// Which disks have replicas on a node: name, and whether the node is missing there.
using NodeDisks = std::vector<std::pair<std::string, bool>>;
NodeDisks disks_on(const std::string& node, const std::vector<DiskSummary>& disks);
/// `health`: what the node has counted, if it answers.
std::string node_info_text(const NodeInfo& node, const NodeDisks& disks,
                           const std::optional<pb::HealthReply>& health);

std::string host_list_table(const std::vector<pb::HostRecord>& hosts);

}  // namespace ukai::ctl
