// SPDX-License-Identifier: BSD-2-Clause
#include <fmt/format.h>

#include <algorithm>

#include "ctl/cluster_state.h"
#include "ctl/table.h"

namespace ukai::ctl {
ClusterCounts count(const ClusterState& state) {
  ClusterCounts counts;
  for (const NodeInfo& node : state.nodes) {
    if (node.alive) {
      ++counts.nodes_up;
    } else {
      counts.nodes_down.push_back(node.record.id());
    }
  }
  for (const HostAnswer& host : state.hosts) {
    if (!host.reply) counts.hosts_silent.push_back(host.record.id());
  }
  for (const DiskSummary& disk : state.disks) {
    switch (disk.health.health) {
      case Health::healthy:
        ++counts.healthy;
        break;
      case Health::degraded:
        ++counts.degraded;
        break;
      case Health::unavailable:
        ++counts.unavailable;
        break;
      case Health::corrupt:
        ++counts.corrupt;
        break;
    }
  }
  return counts;
}

bool is_healthy(const ClusterState& state) {
  const ClusterCounts counts = count(state);
  return counts.nodes_down.empty() && counts.hosts_silent.empty() &&
         counts.healthy == state.disks.size();
}

std::string status_text(const ClusterState& state, const std::string& servers) {
  const ClusterCounts counts = count(state);
  Properties text;
  text.add("metadata", fmt::format("ok ({})", servers));
  std::string nodes = fmt::format("{} up", counts.nodes_up);
  if (!counts.nodes_down.empty()) {
    nodes += fmt::format(", {} down ({})", counts.nodes_down.size(), join(counts.nodes_down, ", "));
  }
  text.add("nodes", nodes);
  std::string hosts = fmt::format("{} up", state.hosts.size() - counts.hosts_silent.size());
  if (!counts.hosts_silent.empty()) {
    hosts += fmt::format(", {} silent ({})", counts.hosts_silent.size(),
                         join(counts.hosts_silent, ", "));
  }
  text.add("hosts", hosts);
  std::string disks = fmt::format("{} healthy", counts.healthy);
  if (counts.degraded > 0) disks += fmt::format(", {} degraded", counts.degraded);
  if (counts.unavailable > 0) disks += fmt::format(", {} unavailable", counts.unavailable);
  if (counts.corrupt > 0) disks += fmt::format(", {} corrupt", counts.corrupt);
  text.add("disks", disks);
  for (const DiskSummary& disk : state.disks) {
    if (disk.health.health == Health::healthy) continue;
    text.add("", fmt::format("{} is {}: {}", disk.name, to_string(disk.health.health),
                             join(disk.health.reasons, "; ")));
  }
  text.add("healthy", is_healthy(state) ? "yes" : "no");
  return text.text();
}

std::vector<HostError> collect_errors(const std::vector<HostAnswer>& hosts) {
  std::vector<HostError> errors;
  for (const HostAnswer& host : hosts) {
    if (!host.reply) continue;
    for (const pb::ErrorEntry& entry : host.reply->errors()) {
      errors.push_back({host.record.id(), entry});
    }
  }
  std::stable_sort(errors.begin(), errors.end(), [](const HostError& a, const HostError& b) {
    return a.entry.unix_s() > b.entry.unix_s();
  });
  return errors;
}

std::string errors_table(const std::vector<HostAnswer>& hosts) {
  auto or_dash = [](const std::string& text) { return text.empty() ? "-" : one_line(text); };
  Table table({"TIME", "HOST", "NODE", "DISK", "ERROR"});
  for (const HostAnswer& host : hosts) {
    if (!host.reply) {
      table.add_row({"now", host.record.id(), "-", "-", one_line(host.reply.error().what)});
    }
  }
  for (const HostError& error : collect_errors(hosts)) {
    table.add_row({format_time(error.entry.unix_s()), error.host, or_dash(error.entry.node()),
                   or_dash(error.entry.disk()), or_dash(error.entry.what())});
  }
  return table.empty() ? "no errors\n" : table.text();
}

std::string hosts_text(const std::vector<HostAnswer>& hosts) {
  Table table({"HOST", "VERSION", ">UPTIME S", "METADATA", ">DISKS", "NODE", "LINK", ">LATENCY US",
               ">IN FLIGHT", "LAST ERROR"});
  for (const HostAnswer& host : hosts) {
    if (!host.reply) {
      table.add_row({host.record.id(), "-", "-", "-", "-", "-", "silent", "-", "-",
                     one_line(host.reply.error().what)});
      continue;
    }
    const pb::HostStatusReply& reply = *host.reply;
    const std::vector<std::string> about{host.record.id(), reply.version(),
                                         std::to_string(reply.uptime_s()), reply.metadata_state(),
                                         std::to_string(reply.disks_attached())};
    auto row = [&](const std::vector<std::string>& link) {
      std::vector<std::string> cells = about;
      cells.insert(cells.end(), link.begin(), link.end());
      table.add_row(std::move(cells));
    };
    if (reply.nodes().empty()) row({"-", "-", "-", "-", "-"});
    for (const pb::NodeLinkStatus& link : reply.nodes()) {
      row({link.node(), link.connected() ? "up" : "down", std::to_string(link.latency_us()),
           std::to_string(link.in_flight()),
           link.last_error().empty() ? "-" : one_line(link.last_error())});
    }
  }
  return table.text();
}

}  // namespace ukai::ctl
