// SPDX-License-Identifier: BSD-2-Clause
#pragma once

#include <cstdint>
#include <string>

#include "ctl/context.h"
#include "ctl/image_tool.h"

/// What import and export share.
namespace ukai::ctl {

/// Absolute, so that qemu-img takes nothing in it for a protocol.
std::string absolute_path(const std::string& file);

/// Copies, and shows on a terminal how far it is: `size_bytes` altogether.
Result<> copy_image(Context& context, const Conversion& conversion, std::uint64_t size_bytes);

/// Makes durable what was written to the file.
Result<> sync_file(const std::string& path, int flags);

/// What the file takes on its file system; 0: cannot be told.
std::uint64_t file_bytes(const std::string& path);

}  // namespace ukai::ctl
