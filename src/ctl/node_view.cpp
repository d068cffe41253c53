// SPDX-License-Identifier: BSD-2-Clause
#include "ctl/node_view.h"

#include "ctl/table.h"

namespace ukai::ctl {
namespace {

std::string or_dash(const std::string& text) { return text.empty() ? "-" : text; }

}  // namespace

std::string admin_state(const pb::NodeRecord& record) {
  return record.admin_state().empty() ? "active" : record.admin_state();
}

std::string node_list_table(const std::vector<NodeInfo>& nodes) {
  Table table({"NODE", "STATE", "SITE", "LABELS", "ADDRESS", ">FREE", ">USED", ">CAPACITY"});
  for (const NodeInfo& node : nodes) {
    const pb::NodeRecord& record = node.record;
    std::string state = node.alive ? "up" : "down";
    if (!node.damage.empty()) state = "corrupt";
    if (admin_state(record) != "active") state += ", " + admin_state(record);
    table.add_row({record.id(), state, or_dash(record.site()),
                   join({record.labels().begin(), record.labels().end()}), record.data_address(),
                   node.alive ? format_size(node.alive->free_bytes()) : "-",
                   node.alive ? format_size(node.alive->used_bytes()) : "-",
                   format_size(record.capacity_bytes())});
  }
  return table.text();
}

NodeDisks disks_on(const std::string& node, const std::vector<DiskSummary>& disks) {
  NodeDisks found;
  for (const DiskSummary& disk : disks) {
    for (const pb::Member& member : disk.record.members()) {
      if (member.node() == node && !member.gone()) found.emplace_back(disk.name, member.missing());
    }
  }
  return found;
}

std::string node_info_text(const NodeInfo& node, const NodeDisks& disks,
                           const std::optional<pb::HealthReply>& health) {
  const pb::NodeRecord& record = node.record;
  Properties text;
  text.add("node", record.id());
  text.add("state", node.alive ? "up" : "down");
  if (!node.damage.empty()) text.add("damage", node.damage);
  text.add("admin state", admin_state(record));
  text.add("site", or_dash(record.site()));
  text.add("labels", join({record.labels().begin(), record.labels().end()}));
  text.add("data address", record.data_address());
  text.add("control address", record.control_address());
  text.add("capacity", format_size(record.capacity_bytes()));
  if (node.alive) {
    text.add("free", format_size(node.alive->free_bytes()));
    text.add("used", format_size(node.alive->used_bytes()));
    text.add("version", or_dash(node.alive->version()));
    text.add("running since", format_time(node.alive->since_unix_s()));
    text.add("boot id", or_dash(node.alive->boot_id()));
  }
  if (health) {
    text.add("requests that met damage", std::to_string(health->damage_met()));
    text.add("scrubbed", format_size(health->scrubbed_bytes()));
    text.add("scrubs of everything", std::to_string(health->scrub_passes()));
    text.add("damaged units scrubbed", std::to_string(health->scrub_found_units()));
  }
  text.add("store id", or_dash(record.store_id()));
  text.add("registered", format_time(record.registered_unix_s()));
  text.add("disks", std::to_string(disks.size()));
  for (const auto& [name, missing] : disks) text.add("", missing ? name + " (missing)" : name);
  return text.text();
}

std::string host_list_table(const std::vector<pb::HostRecord>& hosts) {
  Table table({"HOST", "SITE", "MOUNT", "CONTROL ADDRESS", "NODE", "SINCE"});
  for (const pb::HostRecord& host : hosts) {
    table.add_row({host.id(), or_dash(host.site()), or_dash(host.mount_point()),
                   host.control_address(), or_dash(host.node_id()),
                   format_time(host.since_unix_s())});
  }
  return table.text();
}

}  // namespace ukai::ctl
