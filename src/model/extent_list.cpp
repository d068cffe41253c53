// SPDX-License-Identifier: BSD-2-Clause
#include "ukai/extent_list.h"

#include <cstring>

namespace ukai {
namespace {

constexpr std::size_t pair_bytes = 8;

std::uint32_t load_u32(const char* from) {
  std::uint32_t value = 0;
  std::memcpy(&value, from, sizeof value);  // x86-64 and arm64 are little endian, as the wire is
  return value;
}

}  // namespace

Result<std::vector<Extent>> decode_extents(const Payload& payload) {
  if (payload.size() % pair_bytes != 0) {
    return Error{Code::corrupt, "a node's answer about holes has an odd length"};
  }
  const std::string bytes = payload.to_string();
  std::vector<Extent> out;
  std::uint32_t last = 0;
  for (std::size_t at = 0; at < bytes.size(); at += pair_bytes) {
    const Extent extent{load_u32(&bytes[at]), load_u32(&bytes[at + 4])};
    if (extent.begin_bytes < last || extent.end_bytes <= extent.begin_bytes) {
      return Error{Code::corrupt, "a node's answer about holes is not in order"};
    }
    last = extent.end_bytes;
    out.push_back(extent);
  }
  return out;
}

Payload encode_extents(const std::vector<Extent>& extents) {
  std::string bytes(extents.size() * pair_bytes, '\0');
  char* to = bytes.data();
  for (const Extent& extent : extents) {
    std::memcpy(to, &extent.begin_bytes, 4);
    std::memcpy(to + 4, &extent.end_bytes, 4);
    to += pair_bytes;
  }
  return Payload(Bytes::copy_of(bytes));
}

}  // namespace ukai
