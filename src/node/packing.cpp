// SPDX-License-Identifier: BSD-2-Clause
#include "node/packing.h"

#include <zstd.h>

#include <string>

namespace ukai {
namespace {

constexpr char as_it_is = 0;
constexpr char compressed = 1;
constexpr int level = 1;  // some 500 MB/s; a link that is faster is not packed for
constexpr std::size_t probe_bytes = 4096;
/// What saves less than an eighth is not worth the target's time.
constexpr bool pays(std::size_t packed, std::size_t plain) { return packed < plain - plain / 8; }

/// Empty: it did not get smaller.
std::string squeeze(const char* data, std::size_t length) {
  std::string out(1 + ZSTD_compressBound(length), '\0');
  out[0] = compressed;
  const std::size_t size = ZSTD_compress(out.data() + 1, out.size() - 1, data, length, level);
  if (ZSTD_isError(size) != 0 || !pays(size, length)) return "";
  out.resize(1 + size);
  return out;
}

}  // namespace

Payload pack(const Payload& data) {
  const std::string plain = data.to_string();
  const bool tries = plain.size() <= probe_bytes || !squeeze(plain.data(), probe_bytes).empty();
  const std::string packed = tries ? squeeze(plain.data(), plain.size()) : "";
  if (!packed.empty()) return Payload(Bytes::copy_of(packed));
  Payload out(Bytes::copy_of(std::string(1, as_it_is)));
  out.append(data);
  return out;
}

Result<Payload> unpack(const Payload& packed, std::size_t length) {
  const Error bad{Code::corrupt, "its packed data is not what was asked for"};
  if (packed.empty()) return bad;
  const std::string how = packed.part(0, 1).to_string();
  Payload rest = packed.part(1, packed.size() - 1);
  if (how[0] == as_it_is) {
    if (rest.size() != length) return bad;
    return rest;
  }
  if (how[0] != compressed) return bad;
  const std::string bytes = rest.to_string();
  std::string plain(length, '\0');
  const std::size_t size = ZSTD_decompress(plain.data(), length, bytes.data(), bytes.size());
  if (ZSTD_isError(size) != 0 || size != length) return bad;
  return Payload(Bytes::copy_of(plain));
}

}  // namespace ukai
