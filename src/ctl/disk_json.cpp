// SPDX-License-Identifier: BSD-2-Clause
#include "ctl/disk_json.h"

#include <map>

#include "ctl/json.h"
#include "ctl/json_parts.h"

namespace ukai::ctl {
namespace {

void add_space(Json& json, const SpaceUsed* space) {
  json["used_bytes"] = space != nullptr ? Json(space->used_bytes) : Json(nullptr);
  json["exclusive_bytes"] = space != nullptr ? Json(space->exclusive_bytes()) : Json(nullptr);
  json["shared_bytes"] = space != nullptr ? Json(space->shared_bytes) : Json(nullptr);
}

Json member_json(const DiskDetail& disk, const pb::Member& member) {
  const auto lacked = lacks(disk, member);
  const auto used = disk.usage.find(member.node());
  Json json;
  json["node"] = member.node();
  json["up"] = is_up(disk.nodes, member.node());
  json["state"] = state_of(disk, member);
  json["missed_blocks"] = lacked ? Json(*lacked) : Json(nullptr);
  json["since_unix_s"] = member.missing() ? Json(member.since_unix_s()) : Json(nullptr);
  json["reason"] = null_if_empty(member.reason());
  add_space(json, used == disk.usage.end() ? nullptr : &used->second);
  return json;
}

std::string_view status_name(char letter) {
  switch (letter) {
    case 'Y':
      return "in-sync";
    case 'S':
      return "syncing";
    case 'N':
      return "out-of-sync";
    default:
      return "unknown";
  }
}

Json replicas_json(const Replicas& replicas) {
  Json json = Json::array();
  for (const Replica& replica : replicas) {
    json.push_back({{"node", replica.node}, {"status", status_name(replica.status)}});
  }
  return json;
}

Json histogram_json(const google::protobuf::Map<std::uint32_t, std::uint64_t>& sizes) {
  Json json = Json::array();
  const std::map<std::uint32_t, std::uint64_t> sorted(sizes.begin(), sizes.end());
  for (const auto& [index, count] : sorted) {
    json.push_back({{"size_bytes", index * histogram_unit_bytes}, {"count", count}});
  }
  return json;
}

Json hosts_array(const pb::DiskRecord& record) {
  Json json = Json::array();
  for (const std::string& host : record.allowed_hosts()) json.push_back(host);
  return json;
}

Json meta_object(const pb::DiskRecord& record) {
  Json json = Json::object();
  const std::map<std::string, std::string> sorted(record.meta().begin(), record.meta().end());
  for (const auto& [key, value] : sorted) json[key] = value;
  return json;
}

}  // namespace

Json summary_json(const DiskSummary& disk) {
  const bool known = disk.health.health != Health::corrupt || disk.record.size() > 0;
  Json json;
  json["name"] = disk.name;
  json["id"] = null_if_empty(disk.record.id());
  json["size_bytes"] = known ? Json(disk.record.size()) : Json(nullptr);
  json["block_size_bytes"] = known ? Json(disk.record.block_size()) : Json(nullptr);
  json["replicas"] = disk.replicas;
  json["striped"] = disk.striped;
  json["nodes"] = member_names(disk.record);
  json["holder"] = null_if_empty(disk.holder);
  json["health"] = to_string(disk.health.health);
  json["reasons"] = disk.health.reasons;
  return json;
}

std::string disk_list_json(const std::vector<DiskSummary>& disks) {
  Json json = document("disk_list");
  json["disks"] = Json::array();
  for (const DiskSummary& disk : disks) json["disks"].push_back(summary_json(disk));
  return text_of(json);
}

std::string disk_info_json(const DiskDetail& disk) {
  const pb::DiskRecord& record = disk.summary.record;
  Json json = document("disk");
  json.update(summary_json(disk.summary));
  json["blocks"] = raw(all_blocks(record).end);
  const SpaceUsed space = sum_of(disk.usage);
  add_space(json, disk.usage.empty() ? nullptr : &space);
  json["epoch"] = record.epoch();
  json["generation"] = record.generation();
  json["snapshots"] = record.snapshots_size();
  json["clone_of"] = null_if_empty(record.clone_of());
  json["created_unix_s"] = record.created_unix_s();
  json["last_holder"] = null_if_empty(record.last_holder());
  json["allowed_hosts"] = hosts_array(record);
  json["meta"] = meta_object(record);
  json["members"] = Json::array();
  for (const pb::Member& member : record.members()) {
    json["members"].push_back(member_json(disk, member));
  }
  json["lease"] = nullptr;
  if (disk.lease) {
    const pb::LeaseRecord& lease = disk.lease->record;
    json["lease"] = {{"holder", lease.holder()},
                     {"type", to_string(lease.kind())},
                     {"epoch", lease.epoch()},
                     {"since_unix_s", lease.since_unix_s()}};
  }
  json["open"] = nullptr;
  if (disk.status) {
    json["open"] = {{"readers", disk.status->readers()}, {"writers", disk.status->writers()}};
  }
  return text_of(json);
}

std::string disk_map_json(const pb::DiskRecord& record, const std::vector<MapRow>& rows) {
  Json json = document("disk_map");
  json["name"] = record.name();
  json["id"] = record.id();
  json["size_bytes"] = record.size();
  json["block_size_bytes"] = record.block_size();
  json["blocks"] = raw(all_blocks(record).end);
  json["runs"] = Json::array();
  for (const MapRow& row : rows) {
    Json run;
    run["first"] = raw(row.blocks.begin);
    run["last"] = raw(row.blocks.end) - 1;
    run["cycle"] = Json::array();
    for (const Replicas& replicas : row.cycle) run["cycle"].push_back(replicas_json(replicas));
    json["runs"].push_back(std::move(run));
  }
  return text_of(json);
}

namespace {

Json heats_json(const std::vector<HostHeat>& heats) {
  Json out = Json::array();
  for (const HostHeat& heat : heats) {
    if (heat.ranges.empty()) continue;
    Json one{{"host", heat.host}, {"range_blocks", heat.range_blocks}, {"ranges", Json::array()}};
    for (const pb::RangeCount& range : heat.ranges) {
      one["ranges"].push_back({{"first", range.range() * heat.range_blocks},
                               {"reads", range.reads()},
                               {"writes", range.writes()},
                               {"read_bytes", range.read_bytes()},
                               {"written_bytes", range.written_bytes()}});
    }
    out.push_back(std::move(one));
  }
  return out;
}

}  // namespace

std::string disk_stats_json(const std::string& name, const std::string& host,
                            const std::optional<pb::DiskStatusInfo>& status,
                            const std::vector<HostHeat>& heats) {
  Json json = document("disk_stats");
  json["name"] = name;
  json["host"] = host.empty() ? Json(nullptr) : Json(host);
  json["counters"] = nullptr;
  json["heat"] = heats_json(heats);
  if (!status) return text_of(json);
  const pb::DiskCounters& counters = status->counters();
  Json values;
  values["reads"] = counters.reads();
  values["writes"] = counters.writes();
  values["flushes"] = counters.flushes();
  values["discards"] = counters.discards();
  values["hedged_reads"] = counters.hedged_reads();
  values["read_bytes"] = counters.read_bytes();
  values["written_bytes"] = counters.written_bytes();
  values["read_errors"] = counters.read_errors();
  values["write_errors"] = counters.write_errors();
  values["healed_blocks"] = counters.healed_blocks();
  values["healed_bytes"] = counters.healed_bytes();
  values["damaged_units"] = counters.damaged_units();
  values["repaired_units"] = counters.repaired_units();
  values["read_sizes"] = histogram_json(counters.read_sizes());
  values["write_sizes"] = histogram_json(counters.write_sizes());
  json["counters"] = std::move(values);
  return text_of(json);
}

std::string disk_verify_json(const pb::DiskRecord& record, const Verified& found) {
  Json json = document("disk_verify");
  json["name"] = record.name();
  json["blocks"] = found.blocks;
  json["identical"] = found.differences.empty();
  json["differences"] = Json::array();
  for (const pb::Difference& difference : found.differences) {
    const std::vector<std::string> nodes(difference.nodes().begin(), difference.nodes().end());
    json["differences"].push_back({{"block", difference.block()}, {"nodes", nodes}});
  }
  return text_of(json);
}

std::string scrub_json(const pb::DiskRecord& record, const pb::ScrubProgress& found) {
  Json json = document("scrub");
  json["name"] = record.name();
  json["blocks"] = found.blocks_done();
  json["damaged_units"] = found.damaged_units();
  json["repaired_units"] = found.repaired_units();
  return text_of(json);
}

std::string lease_json(const std::string& name, const Holder& holder) {
  Json json = document("lease");
  json["name"] = name;
  json["held"] = holder.lease.has_value();
  json["holder"] = nullptr;
  json["holder_running"] = nullptr;
  json["type"] = nullptr;
  json["epoch"] = nullptr;
  json["since_unix_s"] = nullptr;
  if (!holder.lease) return text_of(json);
  const pb::LeaseRecord& lease = holder.lease->record;
  json["holder"] = lease.holder();
  json["holder_running"] = holder.host.has_value();
  json["type"] = to_string(lease.kind());
  json["epoch"] = lease.epoch();
  json["since_unix_s"] = lease.since_unix_s();
  return text_of(json);
}

std::string lease_release_json(const std::string& name, const Holder& holder) {
  Json json = document("lease_release");
  json["name"] = name;
  json["released"] = holder.lease.has_value();
  json["holder"] = holder.lease ? Json(holder.lease->record.holder()) : Json(nullptr);
  return text_of(json);
}

std::string location_json(std::string_view kind, const std::string& name,
                          const std::vector<std::string>& nodes, BlockRange blocks, bool changed) {
  Json json = document(kind);
  json["name"] = name;
  json["nodes"] = nodes;
  json["first"] = raw(blocks.begin);
  json["last"] = raw(blocks.end) - 1;
  json["changed"] = changed;
  return text_of(json);
}

std::string disk_create_json(const pb::DiskRecord& record) {
  Json json = document("disk_create");
  json["name"] = record.name();
  json["id"] = record.id();
  json["size_bytes"] = record.size();
  json["block_size_bytes"] = record.block_size();
  return text_of(json);
}

std::string disk_delete_json(const std::string& name, bool deleted) {
  Json json = document("disk_delete");
  json["name"] = name;
  json["deleted"] = deleted;
  return text_of(json);
}

std::string change_json(std::string_view kind, const Changed& changed) {
  const pb::DiskRecord& record = changed.record;
  Json json = document(kind);
  json["name"] = record.name();
  json["id"] = record.id();
  json["size_bytes"] = record.size();
  json["allowed_hosts"] = hosts_array(record);
  json["meta"] = meta_object(record);
  json["changed"] = changed.changed;
  return text_of(json);
}

std::string disk_names_json(const std::vector<DiskName>& names) {
  Json json = document("disk_names");
  json["names"] = Json::array();
  for (const DiskName& name : names) json["names"].push_back(name.str());
  return text_of(json);
}

}  // namespace ukai::ctl
