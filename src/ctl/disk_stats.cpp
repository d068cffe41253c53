// SPDX-License-Identifier: BSD-2-Clause
#include "ctl/commands.h"
#include "ctl/disk_json.h"

namespace ukai::ctl {

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
  context.print(context.json() ? disk_stats_json(options.name, host, status)
                               : disk_stats_text(options.name, host, status));
  return {};
}

}  // namespace ukai::ctl
