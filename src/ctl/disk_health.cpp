// SPDX-License-Identifier: BSD-2-Clause
#include "ctl/disk_health.h"

#include <fmt/format.h>

#include <algorithm>
#include <set>

#include "ctl/disk_view.h"
#include "ukai/types.h"

namespace ukai::ctl {
namespace {

std::string reason_of(const pb::Member& member, const NodesUp& nodes) {
  const auto node = nodes.find(member.node());
  const std::string_view down = node == nodes.end() ? "not registered" : "down";
  const bool up = is_up(nodes, member.node());
  if (!member.missing()) return fmt::format("node {} is {}", member.node(), down);
  std::string reason = fmt::format("node {} is missing", member.node());
  if (!member.reason().empty()) reason += fmt::format(" ({})", member.reason());
  if (!up) reason += fmt::format(" and {}", down);
  return reason;
}

}  // namespace

std::string_view to_string(Health health) {
  switch (health) {
    case Health::healthy:
      return "healthy";
    case Health::degraded:
      return "degraded";
    case Health::unavailable:
      return "unavailable";
    case Health::corrupt:
      return "corrupt";
  }
  return "unknown";
}

bool needs_map(const pb::DiskRecord& record, const NodesUp& nodes) {
  if (record.pending_replicas() > 0) return true;
  return std::any_of(record.members().begin(), record.members().end(), [&](const auto& member) {
    return !member.gone() && (member.missing() || !is_up(nodes, member.node()));
  });
}

DiskHealth judge(const pb::DiskRecord& record, const NodesUp& nodes,
                 const std::vector<pb::ReplicaSet>& sets) {
  DiskHealth result;
  if (record.unproven()) {
    result.health = Health::degraded;
    result.reasons.emplace_back(
        "its metadata were loaded: who is up to date is found out when all of its nodes run");
  }
  std::set<std::string> missing;
  for (const pb::Member& member : record.members()) {
    if (member.gone()) continue;
    if (member.missing()) missing.insert(member.node());
    if (!member.missing() && is_up(nodes, member.node())) continue;
    result.health = Health::degraded;
    result.reasons.push_back(reason_of(member, nodes));
  }
  std::set<std::string> dead_sets;
  std::set<std::string> behind;
  for (const pb::ReplicaSet& set : sets) {
    bool served = false;
    for (int i = 0; i < set.nodes_size(); ++i) {
      const std::string& node = set.nodes(i);
      const bool in_sync = set.status(i) == static_cast<std::uint32_t>(SyncStatus::in_sync);
      if (!in_sync) behind.insert(node);
      // The only location of a block cannot have missed a write to it.
      const bool current = in_sync && (set.nodes_size() == 1 || !missing.contains(node));
      served = served || (current && is_up(nodes, node));
    }
    if (!served) {
      const std::vector<std::string> names(set.nodes().begin(), set.nodes().end());
      dead_sets.insert(fmt::format("{}", fmt::join(names, ", ")));
    }
  }
  for (const std::string& node : behind) {
    result.health = std::max(result.health, Health::degraded);
    result.reasons.push_back(fmt::format("node {} is out of sync for some blocks", node));
  }
  for (const std::string& names : dead_sets) {
    result.health = Health::unavailable;
    result.reasons.push_back(fmt::format("no usable replica of the blocks on {}", names));
  }
  return result;
}

}  // namespace ukai::ctl
