// SPDX-License-Identifier: BSD-2-Clause
#include "ctl/commands.h"
#include "ctl/disk_json.h"

namespace ukai::ctl {

Result<> disk_delete(Context& context, const DiskDeleteOptions& options) {
  auto entry = load_disk(context, options.name);
  const bool absent = entry.failed_with(Code::not_found) && options.if_exists;
  if (!entry && !absent) return entry.error();
  if (entry) {
    auto deleted = delete_disk(context, *entry);
    if (!deleted) return deleted.error();
  }
  if (context.json()) context.print(disk_delete_json(options.name, !absent));
  return {};
}

}  // namespace ukai::ctl
