// SPDX-License-Identifier: BSD-2-Clause
#include "ctl/commands.h"
#include "ctl/disk_json.h"
#include "ctl/map_bars.h"
#include "ctl/missed.h"

namespace ukai::ctl {
namespace {

constexpr std::size_t bar_cells = 60;

}  // namespace

Result<> disk_map(Context& context, const DiskMapOptions& options) {
  auto entry = load_disk(context, options.name);
  if (!entry) return entry.error();
  BlockRange wanted = all_blocks(entry->record);
  if (!options.blocks.empty()) {
    auto parsed = parse_blocks(options.blocks, wanted.count());
    if (!parsed) return parsed.error();
    wanted = *parsed;
  }
  auto nodes = load_nodes(context);
  if (!nodes) return nodes.error();
  auto segments = load_map(context, entry->record, wanted);
  if (!segments) return segments.error();
  auto missed = load_missed(context, entry->record, *nodes);
  if (!missed) return missed.error();
  const std::vector<MapRow> rows = map_rows(*segments, *missed, wanted);
  if (context.json()) {
    context.print(disk_map_json(entry->record, rows));
    return {};
  }
  const bool plain = context.environment().variable("NO_COLOR").has_value();
  const bool terminal = context.environment().out_is_terminal;
  context.print(disk_map_table(rows, terminal && !plain));
  if (!terminal) return {};
  std::map<std::string, std::string> sites;
  for (const NodeInfo& node : *nodes) sites[node.record.id()] = node.record.site();
  const auto bars = map_bars(rows, sites, bar_cells);
  context.print("\n" + map_bars_text(bars, wanted.count(), !plain));
  return {};
}

}  // namespace ukai::ctl
