// SPDX-License-Identifier: BSD-2-Clause
#include "ctl/commands.h"
#include "ctl/disk_json.h"
#include "ctl/missed.h"
#include "ctl/original_view.h"

// The original's commands where they do not simply have another name here. Their output is the
// original's; failures and exit statuses are ours.
namespace ukai::ctl {
namespace {

struct Image {
  pb::DiskRecord record;
  std::vector<MapRow> rows;
};

Result<Image> load_image(Context& context, const std::string& name) {
  auto entry = load_disk(context, name);
  if (!entry) return entry.error();
  auto nodes = load_nodes(context);
  if (!nodes) return nodes.error();
  const BlockRange all = all_blocks(entry->record);
  auto segments = load_map(context, entry->record, all);
  if (!segments) return segments.error();
  auto missed = load_missed(context, entry->record, *nodes);
  if (!missed) return missed.error();
  return Image{entry->record, map_rows(*segments, *missed, all)};
}

}  // namespace

Result<> create_image(Context& context, const CreateImageOptions& options) {
  DiskCreateOptions create;
  create.name = options.name;
  create.size = options.size;
  create.block_size = options.block_size;
  std::string location = options.location;
  if (location.empty()) location = context.settings().create_location;
  if (location.empty()) {
    return Error{Code::invalid,
                 "no location is given: use -l LOCATION, or [create] location in --config FILE"};
  }
  create.locations = {location};
  if (!options.hypervisor.empty()) create.allow = {options.hypervisor};
  return disk_create(context, create);
}

Result<> destroy_image(Context& context, const DiskOptions& options) {
  return disk_delete(context, {options.name, false});
}

Result<> get_image_names(Context& context, const NoOptions&) {
  auto names = load_names(context);
  if (!names) return names.error();
  if (context.json()) {
    context.print(disk_names_json(*names));
    return {};
  }
  for (const DiskName& name : *names) context.print(name.str() + "\n");
  return {};
}

Result<> get_image_info(Context& context, const DiskOptions& options) {
  // -o json asks for a document: the one that disk map gives.
  if (context.json()) return disk_map(context, {options.name, ""});
  auto image = load_image(context, options.name);
  if (!image) return image.error();
  write_image_info(context.environment().out, image->record, image->rows);
  return {};
}

Result<> get_metadata(Context& context, const DiskOptions& options) {
  auto image = load_image(context, options.name);
  if (!image) return image.error();
  write_image_metadata(context.environment().out, image->record, image->rows);
  return {};
}

}  // namespace ukai::ctl
