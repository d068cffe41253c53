// SPDX-License-Identifier: BSD-2-Clause
#include "ctl/commands.h"
#include "ctl/disk_json.h"
#include "ctl/missed.h"

namespace ukai::ctl {
Result<> disk_info(Context& context, const DiskOptions& options) {
  auto entry = load_disk(context, options.name);
  if (!entry) return entry.error();
  auto nodes = load_nodes(context);
  if (!nodes) return nodes.error();
  DiskDetail detail;
  detail.nodes = nodes_up(*nodes);
  auto summary = summarise(context, entry->record, detail.nodes);
  if (!summary) return summary.error();
  detail.summary = std::move(*summary);
  auto id = DiskId::parse(entry->record.id());
  if (!id) return id.error();
  auto holder = find_holder(context, *id);
  if (!holder) return holder.error();
  detail.lease = holder->lease;
  if (holder->lease) detail.summary.holder = holder->lease->record.holder();
  detail.status = holder_status(context, *holder, entry->record.id());
  auto missed = load_missed(context, entry->record, *nodes);
  if (!missed) return missed.error();
  detail.missed = std::move(*missed);
  detail.usage = load_usage(context, entry->record, *nodes);
  context.print(context.json() ? disk_info_json(detail) : disk_info_text(detail));
  return {};
}

}  // namespace ukai::ctl
