// SPDX-License-Identifier: BSD-2-Clause
#include <fmt/format.h>

#include <array>
#include <charconv>
#include <limits>

#include "base/text.h"
#include "ukai/types.h"

namespace ukai {
namespace {

/// The power of 1024 that a suffix stands for; -1: no such suffix.
int suffix_power(std::string_view suffix) {
  if (suffix.empty() || suffix == "B" || suffix == "b") return 0;
  const std::string_view rest = suffix.substr(1);
  if (!rest.empty() && rest != "iB" && rest != "i" && rest != "B" && rest != "b") return -1;
  switch (suffix.front()) {
    case 'k':
    case 'K':
      return 1;
    case 'm':
    case 'M':
      return 2;
    case 'g':
    case 'G':
      return 3;
    case 't':
    case 'T':
      return 4;
    case 'p':
    case 'P':
      return 5;
    default:
      return -1;
  }
}

}  // namespace

Result<std::uint64_t> parse_size(std::string_view text) {
  const Error bad{Code::invalid, fmt::format("'{}' is not a size (use bytes, or 4KiB, 4M, 10G, 2T)",
                                             printable(text))};
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
