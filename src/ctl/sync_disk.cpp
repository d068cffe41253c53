// SPDX-License-Identifier: BSD-2-Clause
#include <fmt/format.h>

#include "ctl/commands.h"
#include "ctl/disk_access.h"
#include "ctl/disk_json.h"
#include "ctl/progress_bar.h"
#include "ctl/table.h"

namespace ukai::ctl {
namespace {

Result<> sync_at(Context& context, const pb::HostRecord& host, const pb::DiskRecord& record,
                 pb::SyncProgress& last) {
  last.Clear();
  Environment& environment = context.environment();
  ProgressBar bar(environment.err, environment.err_is_terminal);
  pb::SyncDiskRequest request;
  request.set_disk_id(record.id());
  bool first = true;
  auto progress = [&](const pb::SyncProgress& message) {
    // A host reports on a schedule; only what is new is worth a line.
    const bool news = first || message.blocks_done() != last.blocks_done() ||
                      message.blocks_total() != last.blocks_total() ||
                      message.bytes_moved() != last.bytes_moved();
    first = false;
    last = message;
    if (context.json() && news && !message.finished()) {
      context.print_now(sync_json("sync_progress", record.name(), message));
    }
    bar.update(message.blocks_done(), message.blocks_total());
    return !environment.interrupted();
  };
  auto done = sync_wait(context.calls().sync_disk(host, request, progress));
  if (!done) return host_error(host, done.error());
  if (!last.finished()) {
    return Error{Code::unreachable,
                 fmt::format("host {} stopped before the disk was in sync", host.id())};
  }
  return {};
}

Result<> sync_record(Context& context, const pb::DiskRecord& record) {
  pb::SyncProgress last;
  auto synced = at_some_host(context, record, [&](const pb::HostRecord& host) {
    return sync_at(context, host, record, last);
  });
  if (!synced) return synced.error();
  if (context.json()) {
    context.print_now(sync_json("sync", record.name(), last));
  } else {
    context.print(fmt::format("disk {} is in sync: {} healed, {} moved\n", record.name(),
                              count_of(last.blocks_done(), "block"),
                              format_size(last.bytes_moved())));
  }
  return {};
}

}  // namespace

Result<> sync_disk(Context& context, const DiskOptions& options) {
  auto entry = load_disk(context, options.name);
  if (!entry) return entry.error();
  return sync_record(context, entry->record);
}

Result<> synchronize(Context& context, const SynchronizeOptions& options) {
  auto entry = load_disk(context, options.name);
  if (!entry) return entry.error();
  const auto last = static_cast<std::int64_t>(all_blocks(entry->record).count()) - 1;
  const std::int64_t end = options.end == -1 ? last : options.end;
  if (options.start < 0 || options.start > last || end < 0 || end > last) {
    return Error{Code::invalid, fmt::format("Block index out of range (must be 0 to {})", last)};
  }
  if (end < options.start) {
    return Error{Code::invalid, "END_BLOCK must be greater or equal to START_BLOCK"};
  }
  return sync_record(context, entry->record);
}

}  // namespace ukai::ctl
