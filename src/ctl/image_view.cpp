// SPDX-License-Identifier: BSD-2-Clause
#include "ctl/image_view.h"

#include "ctl/json.h"

namespace ukai::ctl {
namespace {

void add_file(Json& json, const ImageDone& done) {
  json["file"] = done.file;
  json["format"] = done.format;
  json["file_bytes"] = done.file_bytes;
  json["host"] = done.host;
}

}  // namespace

std::string disk_import_json(const pb::DiskRecord& record, const ImageDone& done,
                             std::uint64_t image_bytes) {
  Json json = document("disk_import");
  json["name"] = record.name();
  json["id"] = record.id();
  json["size_bytes"] = record.size();
  json["image_bytes"] = image_bytes;
  add_file(json, done);
  return text_of(json);
}

std::string disk_export_json(const pb::DiskRecord& record, const std::string& snapshot,
                             const ImageDone& done, std::uint64_t size_bytes) {
  Json json = document("disk_export");
  json["name"] = record.name();
  json["id"] = record.id();
  json["snapshot"] = null_if_empty(snapshot);
  json["size_bytes"] = size_bytes;
  add_file(json, done);
  return text_of(json);
}

}  // namespace ukai::ctl
