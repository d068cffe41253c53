// SPDX-License-Identifier: BSD-2-Clause
#include <fmt/format.h>

#include "ctl/commands.h"
#include "ctl/disk_json.h"
#include "ctl/table.h"

namespace ukai::ctl {

Result<> disk_delete(Context& context, const DiskDeleteOptions& options) {
  auto entry = load_disk(context, options.name);
  const bool absent = entry.failed_with(Code::not_found) && options.if_exists;
  if (!entry && !absent) return entry.error();
  if (entry && entry->record.snapshots_size() > 0) {
    return Error{Code::busy,
                 fmt::format("disk {} has {}: delete them first", options.name,
                             count_of(static_cast<std::uint64_t>(entry->record.snapshots_size()),
                                      "snapshot"))};
  }
  if (entry) {
    auto deleted = delete_disk(context, *entry);
    if (!deleted) return deleted.error();
  }
  if (context.json()) context.print(disk_delete_json(options.name, !absent));
  return {};
}

}  // namespace ukai::ctl
