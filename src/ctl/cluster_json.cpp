// SPDX-License-Identifier: BSD-2-Clause
#include "ctl/cluster_json.h"

#include "base/version.h"
#include "ctl/json.h"
#include "ctl/json_parts.h"
#include "ctl/node_view.h"

namespace ukai::ctl {
namespace {

Json node_json(const NodeInfo& node) {
  const pb::NodeRecord& record = node.record;
  Json json;
  json["id"] = record.id();
  json["up"] = node.alive.has_value();
  json["damage"] = null_if_empty(node.damage);
  json["admin_state"] = admin_state(record);
  json["site"] = record.site();
  json["labels"] = std::vector<std::string>(record.labels().begin(), record.labels().end());
  json["data_address"] = record.data_address();
  json["control_address"] = record.control_address();
  json["capacity_bytes"] = record.capacity_bytes();
  json["free_bytes"] = node.alive ? Json(node.alive->free_bytes()) : Json(nullptr);
  json["used_bytes"] = node.alive ? Json(node.alive->used_bytes()) : Json(nullptr);
  json["version"] = node.alive ? null_if_empty(node.alive->version()) : Json(nullptr);
  json["since_unix_s"] = node.alive ? Json(node.alive->since_unix_s()) : Json(nullptr);
  return json;
}

Json nodes_array(const std::vector<NodeInfo>& nodes) {
  Json json = Json::array();
  for (const NodeInfo& node : nodes) json.push_back(node_json(node));
  return json;
}

Json disks_array(const std::vector<DiskSummary>& disks) {
  Json json = Json::array();
  for (const DiskSummary& disk : disks) json.push_back(summary_json(disk));
  return json;
}

Json host_json(const pb::HostRecord& host) {
  Json json;
  json["id"] = host.id();
  json["site"] = host.site();
  json["mount_point"] = host.mount_point();
  json["control_address"] = host.control_address();
  json["data_address"] = host.data_address();
  json["node"] = null_if_empty(host.node_id());
  json["version"] = null_if_empty(host.version());
  json["since_unix_s"] = host.since_unix_s();
  return json;
}

Json status_document(const ClusterState& state, const std::string& servers) {
  const ClusterCounts counts = count(state);
  Json json = document("status");
  json["healthy"] = is_healthy(state);
  json["metadata"] = {{"state", "connected"}, {"servers", servers}};
  json["nodes"] = {
      {"up", counts.nodes_up}, {"down", counts.nodes_down.size()}, {"down_ids", counts.nodes_down}};
  json["hosts"] = {{"up", state.hosts.size() - counts.hosts_silent.size()},
                   {"silent", counts.hosts_silent.size()},
                   {"silent_ids", counts.hosts_silent}};
  json["disks"] = {{"total", state.disks.size()},
                   {"healthy", counts.healthy},
                   {"degraded", counts.degraded},
                   {"unavailable", counts.unavailable},
                   {"corrupt", counts.corrupt}};
  json["problems"] = Json::array();
  for (const DiskSummary& disk : state.disks) {
    if (disk.health.health == Health::healthy) continue;
    json["problems"].push_back({{"disk", disk.name},
                                {"health", to_string(disk.health.health)},
                                {"reasons", disk.health.reasons}});
  }
  return json;
}

Json errors_array(const std::vector<HostAnswer>& hosts) {
  Json json = Json::array();
  for (const HostError& error : collect_errors(hosts)) {
    json.push_back({{"unix_s", error.entry.unix_s()},
                    {"host", error.host},
                    {"node", null_if_empty(error.entry.node())},
                    {"disk", null_if_empty(error.entry.disk())},
                    {"what", error.entry.what()}});
  }
  return json;
}

Json hosts_array(const std::vector<HostAnswer>& hosts) {
  Json json = Json::array();
  for (const HostAnswer& host : hosts) {
    Json entry;
    entry["id"] = host.record.id();
    entry["control_address"] = host.record.control_address();
    entry["answers"] = host.reply.ok();
    entry["error"] = host.reply ? Json(nullptr) : Json(host.reply.error().what);
    if (host.reply) {
      entry["version"] = host.reply->version();
      entry["uptime_s"] = host.reply->uptime_s();
      entry["metadata_state"] = host.reply->metadata_state();
      entry["disks_attached"] = host.reply->disks_attached();
      entry["links"] = Json::array();
      for (const pb::NodeLinkStatus& link : host.reply->nodes()) {
        entry["links"].push_back({{"node", link.node()},
                                  {"connected", link.connected()},
                                  {"latency_us", link.latency_us()},
                                  {"in_flight", link.in_flight()},
                                  {"last_error", null_if_empty(link.last_error())}});
      }
    }
    json.push_back(std::move(entry));
  }
  return json;
}

}  // namespace

std::string node_list_json(const std::vector<NodeInfo>& nodes) {
  Json json = document("node_list");
  json["nodes"] = nodes_array(nodes);
  return text_of(json);
}

std::string node_info_json(const NodeInfo& node, const NodeDisks& disks,
                           const std::optional<pb::HealthReply>& health) {
  Json json = document("node");
  json.update(node_json(node));
  json["store_id"] = node.record.store_id();
  json["registered_unix_s"] = node.record.registered_unix_s();
  json["boot_id"] = node.alive ? Json(node.alive->boot_id()) : Json(nullptr);
  json["damage_met"] = health ? Json(health->damage_met()) : Json(nullptr);
  json["scrubbed_bytes"] = health ? Json(health->scrubbed_bytes()) : Json(nullptr);
  json["scrub_passes"] = health ? Json(health->scrub_passes()) : Json(nullptr);
  json["scrub_found_units"] = health ? Json(health->scrub_found_units()) : Json(nullptr);
  json["disks"] = Json::array();
  for (const auto& [name, missing] : disks) {
    json["disks"].push_back({{"name", name}, {"state", missing ? "missing" : "present"}});
  }
  return text_of(json);
}

std::string host_list_json(const std::vector<pb::HostRecord>& hosts) {
  Json json = document("host_list");
  json["hosts"] = Json::array();
  for (const pb::HostRecord& host : hosts) json["hosts"].push_back(host_json(host));
  return text_of(json);
}

std::string status_json(const ClusterState& state, const std::string& servers) {
  return text_of(status_document(state, servers));
}

std::string errors_json(const std::vector<HostAnswer>& hosts) {
  Json json = document("errors");
  json["errors"] = errors_array(hosts);
  json["silent_hosts"] = Json::array();
  for (const HostAnswer& host : hosts) {
    if (!host.reply) json["silent_hosts"].push_back(host.record.id());
  }
  return text_of(json);
}

std::string diag_json(const Diagnosis& about, const ClusterState& state) {
  Json json = document("diag");
  json["version"] = ukai::version_string;
  json["identity"] = about.identity;
  json["unix_s"] = about.unix_s;
  json["metadata"] = {{"servers", about.servers},
                      {"session", about.session},
                      {"session_timeout_ms", about.session_timeout_ms}};
  json["timeout_ms"] = about.timeout_ms;
  json["status"] = status_document(state, about.servers);
  json["nodes"] = nodes_array(state.nodes);
  json["hosts"] = hosts_array(state.hosts);
  json["disks"] = disks_array(state.disks);
  json["errors"] = errors_array(state.hosts);
  return text_of(json);
}

std::string version_json() {
  Json json = document("version");
  json["version"] = ukai::version_string;
  return text_of(json);
}

}  // namespace ukai::ctl
