// SPDX-License-Identifier: BSD-2-Clause
#include "ctl/base64.h"

#include <cstdint>

namespace ukai::ctl {
namespace {

constexpr std::string_view letters =
    "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

}  // namespace

std::string to_base64(std::string_view bytes) {
  std::string out;
  for (std::size_t at = 0; at < bytes.size(); at += 3) {
    const std::string_view part = bytes.substr(at, 3);
    std::uint32_t bits = 0;
    for (std::size_t i = 0; i < 3; ++i) {
      bits = bits << 8 | (i < part.size() ? static_cast<unsigned char>(part[i]) : 0U);
    }
    for (std::size_t i = 0; i < 4; ++i) {
      out += i <= part.size() ? letters[bits >> (18 - 6 * i) & 63U] : '=';
    }
  }
  return out;
}

std::optional<std::string> from_base64(std::string_view text) {
  std::string out;
  for (std::size_t at = 0; at + 4 <= text.size(); at += 4) {
    std::uint32_t bits = 0;
    std::size_t count = 0;
    for (const char c : text.substr(at, 4)) {
      const std::size_t value = letters.find(c);
      bits <<= 6;
      if (value == std::string_view::npos) continue;
      bits |= static_cast<std::uint32_t>(value);
      ++count;
    }
    for (std::size_t i = 0; i + 1 < count; ++i) {
      out += static_cast<char>(bits >> (16 - 8 * i) & 255U);
    }
  }
  // Whatever is not of this form does not come back as it was.
  return to_base64(out) == text ? std::optional(out) : std::nullopt;
}

}  // namespace ukai::ctl
