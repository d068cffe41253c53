// SPDX-License-Identifier: BSD-2-Clause
#include "ctl/commands.h"
#include "ctl/disk_json.h"

namespace ukai::ctl {

Result<> disk_resize(Context& context, const DiskResizeOptions& options) {
  auto size = parse_size(options.size);
  if (!size) return size.error();
  pb::ChangeDiskRequest request;
  request.set_resize(*size);
  auto changed = change_disk(context, options.name, request);
  if (!changed) return changed.error();
  if (context.json()) context.print(change_json("disk_resize", *changed));
  return {};
}

}  // namespace ukai::ctl
