// SPDX-License-Identifier: BSD-2-Clause
#include "ctl/dump.h"

#include <fmt/format.h>
#include <google/protobuf/util/json_util.h>
#include <google/protobuf/util/message_differencer.h>

#include <algorithm>
#include <map>
#include <memory>
#include <set>

#include "base/text.h"
#include "ctl/base64.h"
#include "ctl/json.h"
#include "metadata/records.h"
#include "ukai/block_map.h"
#include "ukai/geometry.h"

namespace ukai::ctl {
namespace {

constexpr std::size_t header_bytes = 5;  // "UKR1" and the kind

using Message = google::protobuf::Message;

struct KindName {
  RecordKind kind;
  const char* name;
  std::unique_ptr<Message> (*make)();
};

template <class Record>
std::unique_ptr<Message> make() {
  return std::make_unique<Record>();
}

constexpr KindName kinds[] = {
    {RecordKind::cluster, "cluster", &make<pb::ClusterRecord>},
    {RecordKind::node, "node", &make<pb::NodeRecord>},
    {RecordKind::name, "name", &make<pb::NameRecord>},
    {RecordKind::disk, "disk", &make<pb::DiskRecord>},
    {RecordKind::segment, "map", &make<pb::MapSegment>},
    {RecordKind::trash, "trash", &make<pb::TrashRecord>},
    {RecordKind::event, "event", &make<pb::EventRecord>},
    {RecordKind::job, "job", &make<pb::JobRecord>},
};

/// The record as JSON, if JSON holds all of it.
Json readable(const DumpRecord& record) {
  if (record.data.size() < header_bytes) return nullptr;
  const char letter = record.data[header_bytes - 1];
  for (const KindName& kind : kinds) {
    if (static_cast<char>(kind.kind) != letter) continue;
    auto message = kind.make();
    auto back = kind.make();
    if (!detail::decode_record(kind.kind, record.path, record.data, *message)) return nullptr;
    google::protobuf::util::JsonPrintOptions print;
    print.preserve_proto_field_names = true;
    std::string text;
    if (!google::protobuf::util::MessageToJsonString(*message, &text, print).ok()) return nullptr;
    if (!google::protobuf::util::JsonStringToMessage(text, back.get()).ok()) return nullptr;
    const bool same = google::protobuf::util::MessageDifferencer::Equals(*message, *back) &&
                      message->ByteSizeLong() == back->ByteSizeLong();
    if (!same) return nullptr;
    return {{"kind", kind.name}, {"record", Json::parse(text, nullptr, false)}};
  }
  return nullptr;
}

Error bad(const std::string& path, const std::string& why) {
  return {Code::invalid, fmt::format("the dump's record {}: {}", printable(path), why)};
}

Result<std::string> data_of(const Json& json, const std::string& path) {
  if (json.contains("base64")) {
    if (!json["base64"].is_string()) return bad(path, "base64 is no text");
    auto bytes = from_base64(json["base64"].get<std::string>());
    if (!bytes) return bad(path, "base64 is damaged");
    return *bytes;
  }
  if (!json.contains("record")) return std::string();
  const std::string name = json.value("kind", "");
  for (const KindName& kind : kinds) {
    if (name != kind.name) continue;
    auto message = kind.make();
    if (!google::protobuf::util::JsonStringToMessage(json["record"].dump(), message.get()).ok()) {
      return bad(path, "is no record of kind " + name);
    }
    return detail::encode_record(kind.kind, *message);
  }
  return bad(path,
             fmt::format("has the kind '{}', which this version does not know", printable(name)));
}

Result<DumpRecord> parse_record(const Json& json) {
  if (!json.is_object() || !json.contains("path") || !json["path"].is_string()) {
    return bad("?", "has no path");
  }
  const std::string path = json["path"].get<std::string>();
  if (path != "/ukai" && !path.starts_with("/ukai/")) return bad(path, "is not below /ukai");
  try {
    auto data = data_of(json, path);
    if (!data) return data.error();
    return DumpRecord{path, *data};
  } catch (const Json::exception&) {
    return bad(path, "has values of wrong types");
  }
}

Result<> check_disk(const pb::DiskRecord& record, const std::map<std::string, std::string>& data) {
  const std::string path = "/ukai/disks/" + record.id();
  auto geometry = make_geometry(record.size(), record.block_size());
  if (!geometry) return Error{Code::corrupt, path + ": " + geometry.error().what};
  for (std::uint64_t i = 0; i < geometry->segment_count(); ++i) {
    const std::string at = fmt::format("{}/map/{:08x}", path, i);
    const auto found = data.find(at);
    if (found == data.end()) return Error{Code::corrupt, "the dump lacks " + at};
    auto segment = decode_record<pb::MapSegment>(at, found->second);
    if (!segment) return segment.error();
    if (auto sound = check_segment(*segment, *geometry); !sound) return sound.error();
  }
  return {};
}

}  // namespace

std::string dump_text(const Dump& dump) {
  Json json = document("metadata_dump");
  json["unix_s"] = dump.unix_s;
  json["records"] = Json::array();
  for (const DumpRecord& record : dump.records) {
    Json entry;
    entry["path"] = record.path;
    const Json shown = readable(record);
    if (!shown.is_null()) {
      entry.update(shown);
    } else if (!record.data.empty()) {
      entry["base64"] = to_base64(record.data);
    }
    json["records"].push_back(std::move(entry));
  }
  return text_of(json);
}

Result<Dump> parse_dump(std::string_view text) {
  const Json json = Json::parse(text, nullptr, false);
  const bool ours = json.is_object() && json.contains("kind") && json["kind"] == "metadata_dump" &&
                    json.contains("records") && json["records"].is_array();
  if (!ours) return Error{Code::invalid, "this is no dump of ukaictl metadata dump"};
  const Json schema = json.value("schema", Json());
  if (schema != json_schema) {
    return Error{Code::invalid, fmt::format("the dump has schema {}; this ukaictl reads schema {}",
                                            schema.dump(), json_schema)};
  }
  Dump dump;
  std::set<std::string> paths;
  for (const Json& entry : json["records"]) {
    auto record = parse_record(entry);
    if (!record) return record.error();
    if (!paths.insert(record->path).second) return bad(record->path, "is there twice");
    dump.records.push_back(std::move(*record));
  }
  return dump;
}

Result<DumpCounts> check_dump(const Dump& dump) {
  std::map<std::string, std::string> data;
  for (const DumpRecord& record : dump.records) data[record.path] = record.data;
  auto cluster = decode_record<pb::ClusterRecord>("/ukai/cluster", data["/ukai/cluster"]);
  if (!cluster) return cluster.error();
  DumpCounts counts;
  for (const auto& [path, value] : data) {
    if (path.starts_with("/ukai/nodes/") && path.find('/', 12) == std::string::npos) {
      ++counts.nodes;
    }
    if (!path.starts_with("/ukai/names/")) continue;
    auto name = decode_record<pb::NameRecord>(path, value);
    if (!name) return name.error();
    const std::string at = "/ukai/disks/" + name->disk_id();
    const auto found = data.find(at);
    if (found == data.end()) return Error{Code::corrupt, "the dump lacks " + at};
    auto disk = decode_record<pb::DiskRecord>(at, found->second);
    if (!disk) return disk.error();
    if (auto sound = check_disk(*disk, data); !sound) return sound.error();
    ++counts.disks;
  }
  return counts;
}

Result<> distrust(Dump& dump) {
  for (DumpRecord& record : dump.records) {
    const bool is_disk = record.data.size() >= header_bytes &&
                         record.data[header_bytes - 1] == static_cast<char>(RecordKind::disk);
    if (!is_disk) continue;
    auto disk = decode_record<pb::DiskRecord>(record.path, record.data);
    if (!disk) return disk.error();
    disk->set_epoch(disk->epoch() + epoch_step);
    disk->set_unproven(true);
    disk->set_guest_epoch(disk->epoch());  // handles from before are dead
    for (pb::Member& member : *disk->mutable_members()) member.clear_compare_all();
    record.data = encode_record(*disk);
  }
  return {};
}

std::string load_json(const DumpCounts& counts) {
  Json json = document("metadata_load");
  json["disks"] = counts.disks;
  json["nodes"] = counts.nodes;
  return text_of(json);
}

}  // namespace ukai::ctl
