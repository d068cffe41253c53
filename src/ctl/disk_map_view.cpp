// SPDX-License-Identifier: BSD-2-Clause
#include <fmt/format.h>

#include "ctl/disk_view.h"
#include "ctl/table.h"

namespace ukai::ctl {
namespace {

std::string replica_text(const Replica& replica, bool colour) {
  std::string text = fmt::format("{}:{}", replica.node, replica.status);
  if (!colour) return text;
  const int code = replica.status == 'Y' ? 32 : replica.status == 'N' ? 31 : 33;
  return fmt::format("\x1b[{}m{}\x1b[0m", code, text);
}

std::string replicas_text(const Replicas& replicas, bool colour) {
  std::string text;
  for (const Replica& replica : replicas) {
    if (!text.empty()) text += ' ';
    text += replica_text(replica, colour);
  }
  return text;
}

std::string blocks_text(BlockRange blocks) {
  if (blocks.count() == 1) return std::to_string(raw(blocks.begin));
  return fmt::format("{}-{}", raw(blocks.begin), raw(blocks.end) - 1);
}

}  // namespace

std::string disk_map_table(const std::vector<MapRow>& rows, bool colour) {
  // Colours come last in a line: their bytes take no column.
  Table table({"BLOCKS", ">COUNT", "REPLICAS"});
  for (const MapRow& row : rows) {
    std::string replicas;
    for (const Replicas& set : row.cycle) {
      if (!replicas.empty()) replicas += " | ";
      replicas += replicas_text(set, colour);
    }
    table.add_row({blocks_text(row.blocks), std::to_string(row.blocks.count()), replicas});
  }
  return table.text();
}

}  // namespace ukai::ctl
