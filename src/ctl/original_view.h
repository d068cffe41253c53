// SPDX-License-Identifier: BSD-2-Clause
#pragma once

#include <ostream>
#include <string>
#include <vector>

#include "ctl/lookup.h"

/// A disk in the words of the original's ukai_admin, byte for byte; no I/O but the stream. Large
/// disks have millions of lines, which is why they are not collected first.
namespace ukai::ctl {

/// The text of get_image_info.
void write_image_info(std::ostream& out, const pb::DiskRecord& record,
                      const std::vector<MapRow>& rows);

/// The JSON document of get_metadata.
void write_image_metadata(std::ostream& out, const pb::DiskRecord& record,
                          const std::vector<MapRow>& rows);

}  // namespace ukai::ctl
