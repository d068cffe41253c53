// SPDX-License-Identifier: BSD-2-Clause
#include <fmt/format.h>

#include "ctl/commands.h"
#include "ctl/disk_access.h"
#include "ctl/disk_json.h"
#include "ctl/progress_bar.h"
#include "ctl/table.h"

namespace ukai::ctl {
namespace {

Result<> verify_at(Context& context, const pb::HostRecord& host, const pb::DiskRecord& record,
                   Verified& found) {
  found = {};
  Environment& environment = context.environment();
  ProgressBar bar(environment.err, environment.err_is_terminal);
  pb::VerifyDiskRequest request;
  request.set_disk_id(record.id());
  bool finished = false;
  auto progress = [&](const pb::VerifyProgress& message) {
    found.blocks = message.blocks_done();
    found.differences.insert(found.differences.end(), message.differences().begin(),
                             message.differences().end());
    finished = finished || message.finished();
    bar.update(message.blocks_done(), message.blocks_total());
    return !environment.interrupted();
  };
  auto done = sync_wait(context.calls().verify_disk(host, request, progress));
  if (!done) return host_error(host, done.error());
  if (!finished) {
    return Error{Code::unreachable,
                 fmt::format("host {} stopped before the disk was verified", host.id())};
  }
  return {};
}

}  // namespace

Result<> disk_verify(Context& context, const DiskOptions& options) {
  auto entry = load_disk(context, options.name);
  if (!entry) return entry.error();
  const pb::DiskRecord& record = entry->record;
  Verified found;
  auto verified = at_some_host(context, record, [&](const pb::HostRecord& host) {
    return verify_at(context, host, record, found);
  });
  if (!verified) return verified.error();
  context.print(context.json() ? disk_verify_json(record, found) : disk_verify_text(record, found));
  if (found.differences.empty()) return {};
  return Error{Code::corrupt, fmt::format("disk {}: the replicas of {} differ", record.name(),
                                          count_of(found.differences.size(), "block"))};
}

}  // namespace ukai::ctl
