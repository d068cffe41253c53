// SPDX-License-Identifier: BSD-2-Clause
#include "ctl/topology.h"

#include <fmt/format.h>

#include <algorithm>
#include <map>

#include "ctl/commands.h"
#include "ctl/json.h"
#include "ctl/node_view.h"
#include "ctl/table.h"
#include "ukai/site_path.h"

namespace ukai::ctl {
namespace {

constexpr const char* no_site = "(no site)";

/// What stands at each site, by its path.
struct Site {
  std::vector<std::string> nodes;  ///< lines
  std::vector<std::string> hosts;
};
using Sites = std::map<std::string, Site, SiteOrder>;

std::string node_line(const NodeInfo& node) {
  const pb::NodeRecord& record = node.record;
  std::string line = fmt::format("node {}  {}", record.id(), node.alive ? "up" : "down");
  if (admin_state(record) != "active") line += ", " + admin_state(record);
  if (node.alive) {
    line +=
        fmt::format("  {} used, {} free of {}", format_size(node.alive->used_bytes()),
                    format_size(node.alive->free_bytes()), format_size(record.capacity_bytes()));
  }
  if (!record.labels().empty()) {
    line += "  " + join({record.labels().begin(), record.labels().end()});
  }
  return line;
}

Sites by_site(const std::vector<NodeInfo>& nodes, const std::vector<HostAnswer>& hosts) {
  const auto named = [](const std::string& site) { return site.empty() ? no_site : site; };
  Sites sites;
  for (const NodeInfo& node : nodes)
    sites[named(node.record.site())].nodes.push_back(node_line(node));
  for (const HostAnswer& host : hosts) {
    const std::string silent = host.reply ? "" : "  does not answer";
    sites[named(host.record.site())].hosts.push_back("host " + host.record.id() + silent);
  }
  return sites;
}

/// Each component of a path once, indented below the one before.
std::string tree_text(const Sites& sites) {
  std::string out;
  std::vector<std::string_view> before;
  for (const auto& [path, site] : sites) {
    const auto parts = site_components(path);
    std::size_t same = 0;
    while (same < parts.size() && same < before.size() && parts[same] == before[same]) ++same;
    for (std::size_t i = same; i < parts.size(); ++i)
      out += fmt::format("{:{}}{}\n", "", 2 * i, parts[i]);
    const std::string indent(2 * parts.size(), ' ');
    for (const std::string& line : site.nodes) out += indent + line + "\n";
    for (const std::string& line : site.hosts) out += indent + line + "\n";
    before = parts;
  }
  return out;
}

std::string distances(const std::vector<NodeInfo>& nodes, const std::vector<HostAnswer>& hosts) {
  std::vector<std::string> headings{"LATENCY"};
  for (const NodeInfo& node : nodes) headings.push_back(">" + node.record.id());
  Table table(headings);
  for (const HostAnswer& host : hosts) {
    std::vector<std::string> row{host.record.id()};
    for (const NodeInfo& node : nodes) {
      const pb::NodeLinkStatus* link = link_to(host, node.record.id());
      row.push_back(link == nullptr ? "-" : latency_text(link->latency_us()));
    }
    table.add_row(std::move(row));
  }
  return table.text();
}

}  // namespace

const pb::NodeLinkStatus* link_to(const HostAnswer& host, const std::string& node) {
  if (!host.reply) return nullptr;
  for (const pb::NodeLinkStatus& link : host.reply->nodes()) {
    if (link.node() == node && link.connected()) return &link;
  }
  return nullptr;
}

std::string latency_text(std::uint64_t latency_us) {
  if (latency_us == 0) return "-";
  return fmt::format("{:.2f} ms", static_cast<double>(latency_us) / 1000);
}

std::string topology_text(const std::vector<NodeInfo>& nodes,
                          const std::vector<HostAnswer>& hosts) {
  if (nodes.empty() && hosts.empty()) return "there are neither nodes nor hosts\n";
  std::string out = tree_text(by_site(nodes, hosts));
  if (!nodes.empty() && !hosts.empty()) out += "\n" + distances(nodes, hosts);
  return out;
}

std::string topology_json(const std::vector<NodeInfo>& nodes,
                          const std::vector<HostAnswer>& hosts) {
  Json json = document("topology");
  std::map<std::string, Json, SiteOrder> sites;
  const auto at = [&](const std::string& path) -> Json& {
    Json& site = sites[path];
    if (site.is_null()) site = {{"site", path}, {"nodes", Json::array()}, {"hosts", Json::array()}};
    return site;
  };
  for (const NodeInfo& node : nodes) {
    Json one;
    one["id"] = node.record.id();
    one["up"] = node.alive.has_value();
    one["admin_state"] = admin_state(node.record);
    one["labels"] =
        std::vector<std::string>(node.record.labels().begin(), node.record.labels().end());
    one["capacity_bytes"] = node.record.capacity_bytes();
    one["used_bytes"] = node.alive ? Json(node.alive->used_bytes()) : Json(nullptr);
    one["free_bytes"] = node.alive ? Json(node.alive->free_bytes()) : Json(nullptr);
    at(node.record.site())["nodes"].push_back(std::move(one));
  }
  for (const HostAnswer& host : hosts) at(host.record.site())["hosts"].push_back(host.record.id());
  json["sites"] = Json::array();
  for (auto& [path, site] : sites) json["sites"].push_back(std::move(site));
  json["links"] = Json::array();
  for (const HostAnswer& host : hosts) {
    for (const NodeInfo& node : nodes) {
      const pb::NodeLinkStatus* link = link_to(host, node.record.id());
      const bool known = link != nullptr && link->latency_us() > 0;
      json["links"].push_back({{"host", host.record.id()},
                               {"node", node.record.id()},
                               {"latency_us", known ? Json(link->latency_us()) : Json(nullptr)}});
    }
  }
  return text_of(json);
}

Result<> topology(Context& context, const NoOptions&) {
  auto nodes = load_nodes(context);
  if (!nodes) return nodes.error();
  auto hosts = ask_hosts(context);
  if (!hosts) return hosts.error();
  context.print(context.json() ? topology_json(*nodes, *hosts) : topology_text(*nodes, *hosts));
  return {};
}

}  // namespace ukai::ctl
