// SPDX-License-Identifier: BSD-2-Clause
#include <fmt/format.h>

#include "ctl/commands.h"
#include "ctl/create_plan.h"
#include "ctl/disk_json.h"

namespace ukai::ctl {

Result<pb::DiskRecord> make_disk(Context& context, const DiskCreateOptions& options) {
  auto plan = plan_create(options, context.settings().create_block_size);
  if (!plan) return plan.error();
  const Error taken{Code::exists, fmt::format("a disk named '{}' exists already", options.name)};
  const DiskName name(plan->record.name());
  auto present = context.ask(context.catalog().find_disk(name));
  if (present) return taken;
  if (present.code() != Code::not_found) return present.error();

  auto nodes = load_nodes(context);
  if (!nodes) return nodes.error();
  auto usable = check_nodes(*plan, *nodes, options.force);
  if (!usable) return usable.error();

  plan->record.set_created_unix_s(context.environment().unix_s());
  auto created = context.ask(context.catalog().create_disk(plan->record, plan->segments));
  if (created.failed_with(Code::exists)) return taken;
  if (!created) return created.error();
  return std::move(plan->record);
}

Result<> disk_create(Context& context, const DiskCreateOptions& options) {
  auto record = make_disk(context, options);
  if (!record) return record.error();
  if (context.json()) context.print(disk_create_json(*record));
  return {};
}

}  // namespace ukai::ctl
