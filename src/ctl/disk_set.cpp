// SPDX-License-Identifier: BSD-2-Clause
#include "ctl/commands.h"
#include "ctl/create_plan.h"
#include "ctl/disk_json.h"

namespace ukai::ctl {

Result<> disk_set(Context& context, const DiskSetOptions& options) {
  auto meta = parse_meta(options.meta);
  if (!meta) return meta.error();
  pb::ChangeDiskRequest request;
  *request.mutable_meta() = *meta;
  auto changed = change_disk(context, options.name, request);
  if (!changed) return changed.error();
  if (context.json()) context.print(change_json("disk_set", *changed));
  return {};
}

}  // namespace ukai::ctl
