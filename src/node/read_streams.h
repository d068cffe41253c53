// SPDX-License-Identifier: BSD-2-Clause
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <mutex>
#include <optional>

#include "ukai/block_store.h"

namespace ukai {

/// Who reads a disk in order, from one block into the next, so that those that follow can be
/// fetched before they are asked for: the kernel reads ahead as well, but only to the end of a
/// file, and each block is one.
///
/// A stream is known by where its last read ended. It may skip blocks, always as many: the others
/// are then on other nodes. A few at once are told apart; beyond that, the one that began or was
/// forgotten first makes place.
///
/// Threads: safe from any.
class ReadStreams {
 public:
  /// The block to fetch now, when a reader in order comes to the middle of one: the next, or one
  /// that is some MiB ahead.
  std::optional<BlockIndex> note(BlockIndex block, Extent range, std::uint32_t block_size_bytes);

 private:
  struct Stream {
    BlockIndex block{};
    std::uint32_t next_bytes = 0;  ///< where it goes on, in the block; 0: there is none here
    std::uint64_t step = 1;        ///< to its next block
  };
  static bool goes_on(Stream& stream, BlockIndex block, Extent range,
                      std::uint32_t block_size_bytes);

  std::mutex mutex_;
  std::array<Stream, 4> streams_;  // by mutex_
  std::size_t next_place_ = 0;     // by mutex_
};

}  // namespace ukai
