// SPDX-License-Identifier: BSD-2-Clause
#pragma once

#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "ukai/result.h"

/// Image files, as qemu-img knows them: raw and qcow2.
namespace ukai::ctl {

/// What lies in an image file.
struct ImageInfo {
  std::string format;            ///< "raw", "qcow2", or another that we do not take
  std::uint64_t size_bytes = 0;  ///< of the disk in it
  std::string other_file;        ///< another file that holds a part of it; empty: none
};
/// From the JSON that `qemu-img info` prints. corrupt: it is something else.
Result<ImageInfo> parse_image_info(std::string_view json);

/// The last percentage in what `qemu-img -p` prints, "(12.50/100%)", as a part of 1; nothing: none.
std::optional<double> parse_progress(std::string_view text);

/// "raw" and "qcow2" as typed. invalid: another.
Result<> check_image_format(const std::string& format);
/// qcow2 for FILE.qcow2, else raw.
std::string format_of_name(const std::string& file);

/// One run of `qemu-img convert`. Paths are absolute, so that none is taken for a protocol.
struct Conversion {
  std::string from;
  std::string from_format;
  std::string to;
  std::string to_format;
  bool into_disk = false;    ///< `to` is a new disk: it has a size, is all zeros, and is durable
  bool force_share = false;  ///< read also what another QEMU writes
};
std::vector<std::string> convert_command(const Conversion& conversion);

/// Both block. `stop`: true ends them with io.
/// Errors: not_found and invalid (the file), io (qemu-img is not installed, or what it said),
/// no_space.
Result<ImageInfo> inspect_image(const std::string& file, const std::string& format,
                                const std::function<bool()>& stop);
/// `progress`: how much is done, as a part of 1.
Result<> convert_image(const Conversion& conversion, const std::function<bool()>& stop,
                       const std::function<void(double)>& progress);

}  // namespace ukai::ctl
