// SPDX-License-Identifier: BSD-2-Clause
#include <fmt/format.h>

#include "ctl/commands.h"
#include "ctl/create_plan.h"
#include "ctl/disk_json.h"
#include "ctl/locations.h"
#include "ctl/lookup.h"

namespace ukai::ctl {
namespace {

Result<> change(Context& context, const LocationOptions& options, Locations what) {
  auto nodes = split_list(options.nodes, "NODE");
  if (!nodes) return nodes.error();
  auto entry = load_disk(context, options.name);
  if (!entry) return entry.error();
  auto blocks = blocks_typed(options.blocks, entry->record);
  if (!blocks) return blocks.error();
  if (what == Locations::add) {
    auto usable = check_targets(context, *nodes);
    if (!usable) return usable;
  }
  auto changed = change_locations(context, entry->record, what, *nodes, *blocks);
  if (!changed) return changed.error();
  if (context.json()) {
    const char* kind = what == Locations::add ? "location_add" : "location_remove";
    context.print(location_json(kind, options.name, *nodes, *blocks, changed->changed));
  } else if (!changed->changed) {
    context.print("nothing to change\n");
  }
  return {};
}

}  // namespace

Result<> location_add(Context& context, const LocationOptions& options) {
  return change(context, options, Locations::add);
}

Result<> location_remove(Context& context, const LocationOptions& options) {
  return change(context, options, Locations::remove);
}

namespace {

/// The original's, with its numbers for the ends of the range.
Result<LocationOptions> as_typed(Context& context, const OriginalLocationOptions& options) {
  LocationOptions out;
  out.name = options.name;
  out.nodes = {options.node};
  if (options.start == 0 && options.end == -1) return out;
  auto entry = load_disk(context, options.name);
  if (!entry) return entry.error();
  const auto last = static_cast<std::int64_t>(all_blocks(entry->record).count()) - 1;
  out.blocks = fmt::format("{}-{}", options.start, options.end == -1 ? last : options.end);
  return out;
}

}  // namespace

Result<> add_location(Context& context, const OriginalLocationOptions& options) {
  auto typed = as_typed(context, options);
  if (!typed) return typed.error();
  return location_add(context, *typed);
}

Result<> remove_location(Context& context, const OriginalLocationOptions& options) {
  auto typed = as_typed(context, options);
  if (!typed) return typed.error();
  return location_remove(context, *typed);
}

}  // namespace ukai::ctl
