// SPDX-License-Identifier: BSD-2-Clause
#include "ctl/commands.h"
#include "ctl/disk_json.h"
#include "ctl/heat_source.h"

namespace ukai::ctl {
namespace {

constexpr std::size_t bar_cells = 64;

}  // namespace

Result<> disk_stats(Context& context, const DiskOptions& options) {
  auto entry = load_disk(context, options.name);
  if (!entry) return entry.error();
  auto id = DiskId::parse(entry->record.id());
  if (!id) return id.error();
  auto holder = find_holder(context, *id);
  if (!holder) return holder.error();
  std::optional<pb::DiskStatusInfo> status;
  std::string host;
  if (holder->host) {
    host = holder->host->id();
    pb::DiskStatusRequest request;
    request.add_disk_ids(entry->record.id());
    auto reply = sync_wait(context.calls().disk_status(*holder->host, request));
    if (!reply) return host_error(*holder->host, reply.error());
    if (reply->disks_size() > 0) status = reply->disks(0);
  }
  auto heats = ask_heats(context, entry->record.id());
  if (!heats) return heats.error();
  if (context.json()) {
    context.print(disk_stats_json(options.name, host, status, *heats));
    return {};
  }
  const std::string heat = heat_text(*heats, all_blocks(entry->record).count(), bar_cells);
  context.print(disk_stats_text(options.name, host, status) + (heat.empty() ? "" : "\n" + heat) +
                silent_hosts_text(*heats));
  return {};
}

}  // namespace ukai::ctl
