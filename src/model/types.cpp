// SPDX-License-Identifier: BSD-2-Clause
#include "ukai/types.h"

#include <fmt/format.h>

#include <algorithm>
#include <random>

#include "base/text.h"
#include "ukai/limits.h"

namespace ukai {
namespace {

constexpr std::string_view hex_digits = "0123456789abcdef";

bool is_name_char(char c) {
  return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '.' ||
         c == '_' || c == '-';
}

Result<std::string> parse_name(std::string_view text, std::string_view what,
                               std::size_t chars_max) {
  if (text.empty()) return Error{Code::invalid, fmt::format("{} name is empty", what)};
  if (text.size() > chars_max) {
    return Error{Code::invalid, fmt::format("{} name has {} characters, {} are allowed", what,
                                            text.size(), chars_max)};
  }
  if (text.front() == '.' || text.front() == '-') {
    return Error{Code::invalid, fmt::format("{} name '{}' must start with a letter, a digit or '_'",
                                            what, printable(text))};
  }
  if (!std::all_of(text.begin(), text.end(), is_name_char)) {
    return Error{Code::invalid,
                 fmt::format("{} name '{}' may hold only letters, digits, '.', '_' and '-'", what,
                             printable(text))};
  }
  return std::string(text);
}

}  // namespace

DiskId DiskId::random() {
  std::random_device device;
  std::array<std::uint8_t, 16> bytes{};
  for (auto& byte : bytes) byte = static_cast<std::uint8_t>(device());
  return DiskId(bytes);
}

Result<DiskId> DiskId::parse(std::string_view hex) {
  const Error bad{Code::invalid,
                  fmt::format("'{}' is not a disk id (32 hex digits)", printable(hex))};
  if (hex.size() != 32) return bad;
  std::array<std::uint8_t, 16> bytes{};
  for (std::size_t i = 0; i < 32; ++i) {
    const auto digit = hex_digits.find(hex[i]);
    if (digit == std::string_view::npos) return bad;
    bytes[i / 2] = static_cast<std::uint8_t>((bytes[i / 2] << 4) | digit);
  }
  return DiskId(bytes);
}

std::string DiskId::to_string() const {
  std::string out;
  out.reserve(32);
  for (std::uint8_t byte : bytes_) {
    out += hex_digits[byte >> 4];
    out += hex_digits[byte & 15];
  }
  return out;
}

Result<DiskName> parse_disk_name(std::string_view text) {
  auto name = parse_name(text, "disk", limits::disk_name_chars_max);
  if (!name) return name.error();
  return DiskName(*name);
}

Result<std::string> parse_id(std::string_view text, std::string_view what) {
  return parse_name(text, what, 64);
}

}  // namespace ukai
