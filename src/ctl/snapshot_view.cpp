// SPDX-License-Identifier: BSD-2-Clause
#include "ctl/snapshot_view.h"

#include <fmt/format.h>

#include "ctl/json.h"
#include "ctl/table.h"
#include "ukai/types.h"

namespace ukai::ctl {
namespace {

Json snapshot_json(const pb::Snapshot& snapshot) {
  Json json;
  json["name"] = snapshot.name();
  json["size_bytes"] = snapshot.size();
  json["created_unix_s"] = snapshot.created_unix_s();
  json["generation"] = snapshot.generation();
  return json;
}

}  // namespace

std::string snapshot_list_text(const pb::DiskRecord& record) {
  Table table({"SNAPSHOT", ">SIZE", "CREATED"});
  for (const pb::Snapshot& snapshot : record.snapshots()) {
    table.add_row({record.name() + "@" + snapshot.name(), format_size(snapshot.size()),
                   format_time(snapshot.created_unix_s())});
  }
  return table.text();
}

std::string snapshot_list_json(const pb::DiskRecord& record) {
  Json json = document("snapshot_list");
  json["disk"] = record.name();
  json["snapshots"] = Json::array();
  for (const pb::Snapshot& snapshot : record.snapshots()) {
    json["snapshots"].push_back(snapshot_json(snapshot));
  }
  return text_of(json);
}

std::string snapshot_info_text(const pb::DiskRecord& record, const pb::Snapshot& snapshot) {
  Properties text;
  text.add("snapshot", record.name() + "@" + snapshot.name());
  text.add("size", fmt::format("{} ({} bytes)", format_size(snapshot.size()), snapshot.size()));
  text.add("created", format_time(snapshot.created_unix_s()));
  text.add("generation", std::to_string(snapshot.generation()));
  return text.text();
}

std::string snapshot_info_json(const pb::DiskRecord& record, const pb::Snapshot& snapshot) {
  Json json = document("snapshot");
  json["disk"] = record.name();
  json.update(snapshot_json(snapshot));
  return text_of(json);
}

std::string snapshot_create_json(const pb::TakeSnapshotsRequest& request,
                                 const pb::TakeSnapshotsReply& reply) {
  Json json = document("snapshot_create");
  json["snapshots"] = request.snapshots_size();
  json["held_us"] = reply.held_us();
  return text_of(json);
}

std::string snapshot_done_json(std::string_view kind, const std::string& name) {
  Json json = document(kind);
  json["name"] = name;
  return text_of(json);
}

std::string clone_json(const pb::DiskRecord& record) {
  Json json = document("clone");
  json["name"] = record.name();
  json["id"] = record.id();
  json["clone_of"] = record.clone_of();
  json["size_bytes"] = record.size();
  json["replicas_out_of_sync"] = record.pending_replicas();
  return text_of(json);
}

std::string diff_text(const pb::DiffProgress& found) {
  Table table({">BEGIN", ">END", ">LENGTH", "CONTENT"});
  for (const auto& range : found.ranges()) {
    table.add_row({std::to_string(range.begin()), std::to_string(range.end()),
                   format_size(range.end() - range.begin()), range.zero() ? "zeros" : "data"});
  }
  return table.text();
}

std::string diff_json(const pb::DiskRecord& record, const pb::DiffDiskRequest& request,
                      const pb::DiffProgress& found) {
  Json json = document("disk_diff");
  json["disk"] = record.name();
  json["from"] = request.from();
  json["to"] = null_if_empty(request.to());
  json["ranges"] = Json::array();
  for (const auto& range : found.ranges()) {
    json["ranges"].push_back({{"offset_bytes", range.begin()},
                              {"length_bytes", range.end() - range.begin()},
                              {"zero", range.zero()}});
  }
  return text_of(json);
}

}  // namespace ukai::ctl
