// SPDX-License-Identifier: BSD-2-Clause
#include <fmt/format.h>

#include "ctl/commands.h"
#include "ctl/disk_access.h"
#include "ctl/disk_json.h"
#include "ctl/lookup.h"
#include "ctl/table.h"

namespace ukai::ctl {
namespace {

std::string lease_text(const std::string& name, const Holder& holder) {
  if (!holder.lease) return fmt::format("nobody holds the lease of disk {}\n", name);
  const pb::LeaseRecord& lease = holder.lease->record;
  Properties text;
  text.add("disk", name);
  text.add("holder", lease.holder() + (holder.host ? "" : " (no running host)"));
  text.add("type", std::string(to_string(lease.kind())));
  text.add("epoch", std::to_string(lease.epoch()));
  text.add("since", format_time(lease.since_unix_s()));
  return text.text();
}

/// What has happened to whom; nothing when there was no lease.
std::string release_text(const std::string& name, const Holder& holder) {
  if (!holder.lease) return "";
  const pb::LeaseRecord& lease = holder.lease->record;
  const std::string taken = fmt::format("disk {}: the lease of {} (epoch {}) is taken away", name,
                                        lease.holder(), lease.epoch());
  if (!holder.host) return taken + "; the next host that opens the disk for writing gets it\n";
  return fmt::format(
      "{}; {} is running and may take it again. Once another host has, all that {} still writes is "
      "refused, and its guest gets I/O errors\n",
      taken, lease.holder(), lease.holder());
}

struct Found {
  DiskId disk;
  Holder holder;
};
Result<Found> find_lease(Context& context, const std::string& name) {
  auto disk = find_disk(context, name);
  if (!disk) return disk.error();
  auto holder = find_holder(context, *disk);
  if (!holder) return holder.error();
  return Found{*disk, *holder};
}

}  // namespace

Result<> lease_show(Context& context, const DiskOptions& options) {
  auto found = find_lease(context, options.name);
  if (!found) return found.error();
  context.print(context.json() ? lease_json(options.name, found->holder)
                               : lease_text(options.name, found->holder));
  return {};
}

Result<> lease_release(Context& context, const LeaseReleaseOptions& options) {
  auto found = find_lease(context, options.name);
  if (!found) return found.error();
  const Holder& holder = found->holder;
  if (holder.host && !options.force) {
    return Error{Code::refused,
                 fmt::format("disk {}: its lease is held by host {}, which is running; --force "
                             "takes it away and may cost a guest its disk",
                             options.name, holder.host->id())};
  }
  if (holder.lease) {
    auto broken =
        context.ask(context.catalog().break_lease(found->disk, holder.lease->stat.created_zxid));
    if (!broken) return broken.error();
  }
  context.print(context.json() ? lease_release_json(options.name, holder)
                               : release_text(options.name, holder));
  return {};
}

}  // namespace ukai::ctl
