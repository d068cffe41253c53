// SPDX-License-Identifier: BSD-2-Clause
#include <fmt/format.h>

#include "ctl/commands.h"
#include "ctl/disk_json.h"

namespace ukai::ctl {

Result<> disk_rename(Context& context, const DiskRenameOptions& options) {
  auto name = parse_disk_name(options.new_name);
  if (!name) return name.error();
  pb::ChangeDiskRequest request;
  request.set_rename(name->str());
  auto changed = change_disk(context, options.name, request);
  if (changed.failed_with(Code::exists)) {
    return Error{Code::exists, fmt::format("a disk named '{}' exists already", options.new_name)};
  }
  if (!changed) return changed.error();
  if (context.json()) context.print(change_json("disk_rename", *changed));
  return {};
}

}  // namespace ukai::ctl
