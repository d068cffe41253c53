// SPDX-License-Identifier: BSD-2-Clause
#include <fmt/format.h>

#include "ctl/commands.h"
#include "ctl/disk_access.h"
#include "ctl/disk_json.h"
#include "ctl/progress_bar.h"
#include "ctl/table.h"

namespace ukai::ctl {
namespace {

Result<> scrub_at(Context& context, const pb::HostRecord& host, const pb::DiskRecord& record,
                  pb::ScrubProgress& found) {
  found.Clear();
  Environment& environment = context.environment();
  ProgressBar bar(environment.err, environment.err_is_terminal);
  pb::ScrubDiskRequest request;
  request.set_disk_id(record.id());
  auto progress = [&](const pb::ScrubProgress& message) {
    found = message;
    bar.update(message.blocks_done(), message.blocks_total());
    return !environment.interrupted();
  };
  auto done = sync_wait(context.calls().scrub_disk(host, request, progress));
  if (!done) return host_error(host, done.error());
  if (!found.finished()) {
    return Error{Code::unreachable,
                 fmt::format("host {} stopped before the disk was checked", host.id())};
  }
  return {};
}

}  // namespace

Result<> scrub(Context& context, const DiskOptions& options) {
  auto entry = load_disk(context, options.name);
  if (!entry) return entry.error();
  const pb::DiskRecord& record = entry->record;
  pb::ScrubProgress found;
  auto scrubbed = at_some_host(context, record, [&](const pb::HostRecord& host) {
    return scrub_at(context, host, record, found);
  });
  if (!scrubbed) return scrubbed.error();
  context.print(context.json() ? scrub_json(record, found) : scrub_text(record, found));
  const std::uint64_t left = found.damaged_units() - found.repaired_units();
  if (left == 0) return {};
  return Error{Code::corrupt, fmt::format("disk {}: {} of 4 KiB could not be repaired",
                                          record.name(), count_of(left, "unit"))};
}

}  // namespace ukai::ctl
