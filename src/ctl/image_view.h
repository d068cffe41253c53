// SPDX-License-Identifier: BSD-2-Clause
#pragma once

#include <cstdint>
#include <string>

#include "ukai_records.pb.h"

/// What import and export did, as documents; no I/O.
namespace ukai::ctl {

/// A disk and the file that was copied from or to.
struct ImageDone {
  std::string file;
  std::string format;
  std::uint64_t file_bytes = 0;  ///< what the file takes on its file system
  std::string host;              ///< whose mount was used
};
/// `image_bytes`: size of the disk in the image.
std::string disk_import_json(const pb::DiskRecord& record, const ImageDone& done,
                             std::uint64_t image_bytes);
/// `snapshot`: empty: the disk as it was.
std::string disk_export_json(const pb::DiskRecord& record, const std::string& snapshot,
                             const ImageDone& done, std::uint64_t size_bytes);

}  // namespace ukai::ctl
