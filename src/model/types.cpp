// SPDX-License-Identifier: BSD-2-Clause
#include "ukai/types.h"

#include <fmt/format.h>

#include <algorithm>
#include <charconv>
#include <limits>
#include <random>

#include "ukai/limits.h"

namespace ukai {
namespace {

constexpr std::string_view hex_digits = "0123456789abcdef";

bool is_name_char(char c) {
  return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '.' ||
         c == '_' || c == '-';
}

/// `text` with everything that would upset a terminal or a log line replaced.
std::string printable(std::string_view text) {
  std::string out;
  for (char c : text.substr(0, 64)) out += (c >= 0x20 && c < 0x7f) ? c : '?';
  if (text.size() > 64) out += "…";
  return out;
}

Result<std::string> parse_name(std::string_view text, std::string_view what, std::size_t chars_max) {
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

/// The power of 1024 that a suffix stands for; -1: no such suffix.
int suffix_power(std::string_view suffix) {
  if (suffix.empty() || suffix == "B" || suffix == "b") return 0;
  const std::string_view rest = suffix.substr(1);
  if (!rest.empty() && rest != "iB" && rest != "i" && rest != "B" && rest != "b") return -1;
  switch (suffix.front()) {
    case 'k':
    case 'K': return 1;
    case 'm':
    case 'M': return 2;
    case 'g':
    case 'G': return 3;
    case 't':
    case 'T': return 4;
    case 'p':
    case 'P': return 5;
    default: return -1;
  }
}

}  // namespace

DiskId DiskId::random() {
  std::random_device device;
  std::array<std::uint8_t, 16> bytes{};
  for (auto& byte : bytes) byte = static_cast<std::uint8_t>(device());
  return DiskId(bytes);
}

Result<DiskId> DiskId::parse(std::string_view hex) {
  const Error bad{Code::invalid, fmt::format("'{}' is not a disk id (32 hex digits)", printable(hex))};
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

Result<std::uint64_t> parse_size(std::string_view text) {
  const Error bad{Code::invalid,
                  fmt::format("'{}' is not a size (use bytes, or 4KiB, 4M, 10G, 2T)", printable(text))};
  std::uint64_t number = 0;
  const auto [rest, failure] = std::from_chars(text.data(), text.data() + text.size(), number);
  if (failure == std::errc::result_out_of_range) {
    return Error{Code::invalid, fmt::format("size '{}' is too large", printable(text))};
  }
  if (failure != std::errc()) return bad;
  const int power = suffix_power(text.substr(static_cast<std::size_t>(rest - text.data())));
  if (power < 0) return bad;
  const unsigned shift = 10U * static_cast<unsigned>(power);
  if (number > (std::numeric_limits<std::uint64_t>::max() >> shift)) {
    return Error{Code::invalid, fmt::format("size '{}' is too large", printable(text))};
  }
  return number << shift;
}

std::string format_size(std::uint64_t bytes) {
  constexpr std::array<std::string_view, 6> units{"B", "KiB", "MiB", "GiB", "TiB", "PiB"};
  std::size_t unit = 0;
  double value = static_cast<double>(bytes);
  while (value >= 1024 && unit + 1 < units.size()) {
    value /= 1024;
    ++unit;
  }
  const auto whole = static_cast<std::uint64_t>(value);
  if (static_cast<double>(whole) == value) return fmt::format("{} {}", whole, units[unit]);
  return fmt::format("{:.1f} {}", value, units[unit]);
}

}  // namespace ukai
