// SPDX-License-Identifier: BSD-2-Clause
#include "ctl/rebuild_view.h"

#include <fmt/format.h>

#include "ctl/json.h"
#include "ctl/lookup.h"
#include "ctl/table.h"

namespace ukai::ctl {
namespace {

constexpr std::size_t rows_shown_max = 16;

std::vector<MapRow> rows_of(const Proposal& disk) {
  return map_rows(disk.segments, Missed(), all_blocks(disk.record));
}

std::vector<std::string> nodes_of(const Replicas& replicas) {
  std::vector<std::string> out;
  for (const Replica& replica : replicas) out.push_back(replica.node);
  return out;
}

std::string disk_text(const Proposal& disk) {
  const pb::DiskRecord& record = disk.record;
  std::string text =
      fmt::format("disk {}: {}, {} found (id {})\n", record.name(), format_size(record.size()),
                  count_of(disk.blocks_found, "block"), record.id());
  for (const std::string& node : disk.silent) {
    text += fmt::format("  node {} has a replica, and was not asked: it does not run\n", node);
  }
  const std::vector<MapRow> rows = rows_of(disk);
  for (std::size_t i = 0; i < rows.size(); ++i) {
    if (i == rows_shown_max) {
      text += fmt::format("  … {} more rows; -o json has them\n", rows.size() - i);
      break;
    }
    std::vector<std::string> sets;
    for (const Replicas& replicas : rows[i].cycle) sets.push_back(join(nodes_of(replicas)));
    text += fmt::format("  blocks {}-{}: {}\n", raw(rows[i].blocks.begin),
                        raw(rows[i].blocks.end) - 1, join(sets, " then "));
  }
  return text;
}

Json disk_json(const Proposal& disk) {
  Json json{{"name", disk.record.name()},        {"id", disk.record.id()},
            {"size_bytes", disk.record.size()},  {"block_size_bytes", disk.record.block_size()},
            {"blocks_found", disk.blocks_found}, {"silent", disk.silent}};
  json["runs"] = Json::array();
  for (const MapRow& row : rows_of(disk)) {
    Json cycle = Json::array();
    for (const Replicas& replicas : row.cycle) cycle.push_back(nodes_of(replicas));
    json["runs"].push_back({{"first", raw(row.blocks.begin)},
                            {"last", raw(row.blocks.end) - 1},
                            {"cycle", std::move(cycle)}});
  }
  return json;
}

}  // namespace

std::string rebuild_text(const Rebuild& rebuild) {
  std::string text;
  for (const Proposal& disk : rebuild.disks) text += disk_text(disk);
  for (const Hopeless& disk : rebuild.hopeless) {
    text += fmt::format("nothing can be made of {}: {}\n", disk.disk_id, disk.reason);
  }
  if (rebuild.disks.empty()) {
    return text + "the nodes hold no disk that the metadata do not know\n";
  }
  const std::string disks = count_of(rebuild.disks.size(), "disk");
  return text + (rebuild.applied ? disks + " entered\n"
                                 : disks + " to be entered; nothing is changed without --apply\n");
}

std::string rebuild_json(const Rebuild& rebuild) {
  Json json = document("metadata_rebuild");
  json["applied"] = rebuild.applied;
  json["disks"] = Json::array();
  for (const Proposal& disk : rebuild.disks) json["disks"].push_back(disk_json(disk));
  json["hopeless"] = Json::array();
  for (const Hopeless& disk : rebuild.hopeless) {
    json["hopeless"].push_back({{"id", disk.disk_id}, {"reason", disk.reason}});
  }
  return text_of(json);
}

}  // namespace ukai::ctl
