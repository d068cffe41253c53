// SPDX-License-Identifier: BSD-2-Clause
#pragma once

#include <array>
#include <functional>
#include <span>
#include <string>

#include "ukai/block_store.h"

namespace ukai {

/// XXH3-128, big endian; 16 zero bytes for data of nothing but zeros.
using ChunkHash = std::array<char, 16>;

bool is_zero(std::span<const std::byte> data);
inline bool is_zero(const ChunkHash& hash) { return hash == ChunkHash{}; }

/// Hashes the chunks of one block version. Holes are not read. The extents are those at
/// construction: data that is written later into a hole may be taken for zeros or not.
class ChunkHasher {
 public:
  /// `read` reads a range of at most 1 MiB of the block, or says why not.
  using Read = std::function<Result<Payload>(Extent)>;

  ChunkHasher(std::vector<Extent> extents, Read read)
      : extents_(std::move(extents)), read_(std::move(read)) {}

  Result<ChunkHash> hash(Extent chunk) const;

 private:
  bool hole(Extent range) const;

  const std::vector<Extent> extents_;
  const Read read_;
};

}  // namespace ukai
