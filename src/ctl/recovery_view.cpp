// SPDX-License-Identifier: BSD-2-Clause
#include "ctl/recovery_view.h"

#include <fmt/format.h>

#include "ctl/json.h"
#include "ctl/table.h"

namespace ukai::ctl {
namespace {

constexpr std::size_t ranges_shown_max = 8;

std::vector<std::string> missing_of(const pb::DiskRecord& record) {
  std::vector<std::string> out;
  for (const pb::Member& member : record.members()) {
    if (member.missing()) out.push_back(member.node());
  }
  return out;
}

}  // namespace

std::string recover_text(const Recovery& recovery, const NodeId& from, const std::string& loss) {
  return fmt::format(
      "disk {}: the replica on node {} is the truth now; {}. When they return, these are made "
      "equal "
      "to it: {}\n",
      recovery.record.name(), from.str(), loss, join(missing_of(recovery.record)));
}

std::string recover_json(const Recovery& recovery, const NodeId& from) {
  Json json = document("disk_recover");
  json["name"] = recovery.record.name();
  json["id"] = recovery.record.id();
  json["from"] = from.str();
  json["blocks"] = recovery.blocks;
  json["missing"] = missing_of(recovery.record);
  return text_of(json);
}

std::string blocks_text(const std::vector<BlockRange>& blocks) {
  std::vector<std::string> parts;
  for (const BlockRange& range : blocks) {
    if (parts.size() == ranges_shown_max) {
      parts.emplace_back("…");
      break;
    }
    parts.push_back(range.count() == 1
                        ? std::to_string(raw(range.begin))
                        : fmt::format("{}-{}", raw(range.begin), raw(range.end) - 1));
  }
  return join(parts);
}

std::string remove_text(const std::string& node, const std::vector<DiskLoss>& disks) {
  std::string text = fmt::format("node {} is forgotten\n", node);
  for (const DiskLoss& disk : disks) {
    text += disk.blocks.empty()
                ? fmt::format("disk {}: nothing is lost\n", disk.disk)
                : fmt::format("disk {}: only node {} had blocks {}; I/O on them fails\n", disk.disk,
                              node, blocks_text(disk.blocks));
  }
  return text;
}

std::string remove_json(const std::string& node, const std::vector<DiskLoss>& disks) {
  Json json = document("node_remove");
  json["node"] = node;
  json["disks"] = Json::array();
  for (const DiskLoss& disk : disks) {
    Json lost = Json::array();
    for (const BlockRange& range : disk.blocks) {
      lost.push_back({{"first", raw(range.begin)}, {"last", raw(range.end) - 1}});
    }
    json["disks"].push_back({{"name", disk.disk}, {"lost_blocks", lost}});
  }
  return text_of(json);
}

}  // namespace ukai::ctl
