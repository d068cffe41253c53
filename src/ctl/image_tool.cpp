// SPDX-License-Identifier: BSD-2-Clause
#include "ctl/image_tool.h"

#include <fmt/format.h>

#include <cerrno>
#include <charconv>
#include <cstring>

#include "base/text.h"
#include "ctl/child_process.h"
#include "ctl/json.h"

namespace ukai::ctl {
namespace {

constexpr const char* program = "qemu-img";

/// The last line that it wrote is why it ended.
std::string last_line(std::string_view text) {
  while (text.ends_with('\n')) text.remove_suffix(1);
  const auto at = text.rfind('\n');
  if (at != std::string_view::npos) text.remove_prefix(at + 1);
  return std::string(text);
}

Result<ChildEnd> run_tool(const std::vector<std::string>& argv, const ChildWatch& watch) {
  auto end = run_child(argv, watch);
  if (end.failed_with(Code::not_found)) {
    return Error{Code::io, "qemu-img is not installed (Debian's package qemu-utils has it)"};
  }
  if (!end || end->status == 0) return end;
  const bool full = end->err.find(std::strerror(ENOSPC)) != std::string::npos;
  const std::string why =
      end->err.empty() ? fmt::format("it ended with status {}", end->status) : last_line(end->err);
  return Error{full ? Code::no_space : Code::io, why};
}

}  // namespace

Result<ImageInfo> parse_image_info(std::string_view json) {
  const Json parsed = Json::parse(json, nullptr, false);
  const Error odd{Code::corrupt, "qemu-img info printed something else than was expected"};
  if (!parsed.is_object() || !parsed.contains("format") || !parsed["format"].is_string()) {
    return odd;
  }
  if (!parsed.contains("virtual-size") || !parsed["virtual-size"].is_number_unsigned()) return odd;
  ImageInfo info;
  info.format = parsed["format"].get<std::string>();
  info.size_bytes = parsed["virtual-size"].get<std::uint64_t>();
  if (parsed.contains("backing-filename") && parsed["backing-filename"].is_string()) {
    info.other_file = parsed["backing-filename"].get<std::string>();
  }
  const auto data_file = Json::json_pointer("/format-specific/data/data-file");
  if (parsed.contains(data_file) && parsed[data_file].is_string()) {
    info.other_file = parsed[data_file].get<std::string>();
  }
  return info;
}

std::optional<double> parse_progress(std::string_view text) {
  const auto end = text.rfind("/100%)");
  if (end == std::string_view::npos) return std::nullopt;
  const auto begin = text.rfind('(', end);
  if (begin == std::string_view::npos) return std::nullopt;
  const std::string_view number = text.substr(begin + 1, end - begin - 1);
  double percent = 0;
  const auto [parsed, error] =
      std::from_chars(number.data(), number.data() + number.size(), percent);
  if (error != std::errc() || parsed != number.data() + number.size()) return std::nullopt;
  return percent / 100;
}

Result<> check_image_format(const std::string& format) {
  if (format == "raw" || format == "qcow2") return {};
  return Error{Code::invalid,
               fmt::format("'{}' is no format for images: raw or qcow2", printable(format))};
}

std::string format_of_name(const std::string& file) {
  return file.ends_with(".qcow2") ? "qcow2" : "raw";
}

std::vector<std::string> convert_command(const Conversion& conversion) {
  std::vector<std::string> argv{program, "convert", "-p"};
  if (conversion.force_share) argv.emplace_back("-U");
  if (conversion.into_disk) {
    for (const char* word : {"-n", "--target-is-zero", "-W", "-t", "none"}) argv.emplace_back(word);
  }
  argv.insert(argv.end(), {"-f", conversion.from_format, "-O", conversion.to_format,
                           conversion.from, conversion.to});
  return argv;
}

Result<ImageInfo> inspect_image(const std::string& file, const std::string& format,
                                const std::function<bool()>& stop) {
  std::vector<std::string> argv{program, "info", "--output=json"};
  if (!format.empty()) argv.insert(argv.end(), {"-f", format});
  argv.push_back(file);
  ChildWatch watch;
  watch.stop = stop;
  auto end = run_tool(argv, watch);
  if (!end) return end.error();
  return parse_image_info(end->out);
}

Result<> convert_image(const Conversion& conversion, const std::function<bool()>& stop,
                       const std::function<void(double)>& progress) {
  ChildWatch watch;
  watch.stop = stop;
  watch.said = [&](std::string_view text) {
    if (const auto part = parse_progress(text)) progress(*part);
  };
  auto end = run_tool(convert_command(conversion), watch);
  if (!end) return end.error();
  return {};
}

}  // namespace ukai::ctl
