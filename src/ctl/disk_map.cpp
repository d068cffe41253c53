// SPDX-License-Identifier: BSD-2-Clause
#include "ctl/commands.h"
#include "ctl/disk_json.h"
#include "ctl/missed.h"

namespace ukai::ctl {

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
  context.print(disk_map_table(rows, context.environment().out_is_terminal && !plain));
  return {};
}

}  // namespace ukai::ctl
