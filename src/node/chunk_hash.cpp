// SPDX-License-Identifier: BSD-2-Clause
#include "node/chunk_hash.h"

#include <xxh_x86dispatch.h>

#include <algorithm>
#include <cstring>
#include <memory>

#include "store/unit_sums.h"
#include "ukai/limits.h"

namespace ukai {

bool is_zero(std::span<const std::byte> data) { return all_zero(data); }

bool ChunkHasher::hole(Extent range) const {
  return std::none_of(extents_.begin(), extents_.end(), [&](const Extent& extent) {
    return extent.begin_bytes < range.end_bytes && range.begin_bytes < extent.end_bytes;
  });
}

Result<ChunkHash> ChunkHasher::hash(Extent chunk) const {
  if (hole(chunk)) return ChunkHash{};
  const std::unique_ptr<XXH3_state_t, decltype(&XXH3_freeState)> state(XXH3_createState(),
                                                                       &XXH3_freeState);
  XXH3_128bits_reset(state.get());
  bool zero = true;
  for (std::uint32_t at = chunk.begin_bytes; at < chunk.end_bytes;) {
    const Extent range{at, std::min(chunk.end_bytes, at + limits::io_bytes_max)};
    at = range.end_bytes;
    const std::uint32_t length = range.end_bytes - range.begin_bytes;
    auto data = hole(range) ? Result<Payload>(Payload::zeros(length)) : read_(range);
    if (!data.ok()) return data.error();
    for (const Bytes& piece : data->pieces()) {
      XXH3_128bits_update(state.get(), piece.data(), piece.size());
      zero = zero && is_zero(piece.view());
    }
  }
  ChunkHash result{};
  if (zero) return result;
  XXH128_canonical_t canonical;
  XXH128_canonicalFromHash(&canonical, XXH3_128bits_digest(state.get()));
  static_assert(sizeof canonical.digest == sizeof result);
  std::memcpy(result.data(), canonical.digest, sizeof canonical.digest);
  return result;
}

}  // namespace ukai
