// SPDX-License-Identifier: BSD-2-Clause
#include "rpc/greeting.h"

#include <fmt/format.h>

#include <algorithm>
#include <cstdint>

#include "base/text.h"
#include "rpc/status.h"
#include "ukai/limits.h"

namespace ukai {
namespace {

// "UKH", "UKW" and "UKE": hello, welcome, end. One digit of version follows.
constexpr std::string_view hello_magic = "UKH";
constexpr std::string_view welcome_magic = "UKW";
constexpr std::string_view farewell_magic = "UKE";
constexpr char version = '1';
constexpr std::size_t magic_bytes = 4;

std::string head(std::string_view magic) { return std::string(magic) + version; }
Payload record_of(const std::string& bytes) { return Payload(Bytes::copy_of(bytes)); }

}  // namespace

Payload encode_hello(std::string_view identity) {
  return record_of(head(hello_magic) + std::string(identity));
}

Result<std::string> decode_hello(const Payload& record) {
  const std::string bytes = record.size() > hello_bytes_max ? std::string() : record.to_string();
  if (bytes.size() < magic_bytes || !bytes.starts_with(hello_magic)) {
    return Error{Code::invalid, "malformed message: not a greeting"};
  }
  if (bytes[hello_magic.size()] != version) {
    const std::string_view theirs = std::string_view(bytes).substr(hello_magic.size(), 1);
    return Error{Code::refused, fmt::format("protocol version {} is spoken here, not '{}'",
                                            std::string_view(&version, 1), printable(theirs))};
  }
  return bytes.substr(magic_bytes);
}

Payload encode_welcome() { return record_of(head(welcome_magic)); }

bool is_welcome(const Payload& record) {
  return record.size() == magic_bytes && record.to_string() == head(welcome_magic);
}

Payload encode_farewell(const Error& why) {
  std::string bytes = head(farewell_magic);
  bytes.push_back(static_cast<char>(wire_status(why.code)));
  bytes += why.what.substr(0, limits::frame_what_bytes_max);
  return record_of(bytes);
}

std::optional<Error> decode_farewell(const Payload& record) {
  if (record.size() <= magic_bytes ||
      record.size() > magic_bytes + 1 + limits::frame_what_bytes_max)
    return std::nullopt;
  const std::string bytes = record.to_string();
  if (!bytes.starts_with(head(farewell_magic))) return std::nullopt;
  const auto code = code_from_wire(static_cast<std::uint8_t>(bytes[magic_bytes]));
  if (!code) return std::nullopt;
  return Error{*code, bytes.substr(magic_bytes + 1)};
}

}  // namespace ukai
