// SPDX-License-Identifier: BSD-2-Clause
#include "ctl/commands.h"
#include "ctl/disk_json.h"

namespace ukai::ctl {

Result<> disk_resize(Context& context, const DiskResizeOptions& options) {
  auto size = parse_size(options.size);
  if (!size) return size.error();
  auto entry = load_disk(context, options.name);
  if (!entry) return entry.error();
  if (options.force && *size < entry->record.size()) {
    auto smaller = shrink_disk(context, *entry, *size);
    if (!smaller) return smaller.error();
    if (context.json()) context.print(change_json("disk_resize", Changed{*smaller, true}));
    return {};
  }
  pb::ChangeDiskRequest request;
  request.set_resize(*size);
  auto changed = change_disk(context, options.name, request);
  if (!changed) return changed.error();
  if (context.json()) context.print(change_json("disk_resize", *changed));
  return {};
}

}  // namespace ukai::ctl
