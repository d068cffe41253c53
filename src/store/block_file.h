// SPDX-License-Identifier: BSD-2-Clause
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/buffer_pool.h"
#include "store/block_trailer.h"
#include "store/posix_file.h"
#include "ukai/block_store.h"

namespace ukai {

/// An open block file and what it takes to name it in a message, spelt out only when there is one.
struct OpenBlock {
  int fd;
  BlockTrailer& trailer;
  const std::string& disk_folder;
  BlockKey key;

  /// Of the empty file beside each block file, which says that there must be one.
  static constexpr std::string_view mark_suffix = ".is";

  std::string path() const { return disk_folder + "/" + name(key); }
  /// "000012/000012ab.1" for block 0x12ab, generation 1: below the disk's folder.
  static std::string name(const BlockKey& key) {
    return shard_name(key.block) + "/" + file_name(key);
  }
  static std::string shard_name(BlockIndex block);
  static std::uint64_t shard_of(BlockIndex block);
  static std::string file_name(const BlockKey& key);
  /// The opposite of file_name(); nothing for any other name.
  static std::optional<BlockKey> key_of(DiskId disk, const std::string& file_name);
};

/// What a block version's bytes are in its file: this file and block_trailer are the only ones that
/// know. Byte i of the block is byte i of the file, holes are zeros, and the checksums follow
/// behind.
///
/// All functions may run side by side on one file. Errors: io, no_space, corrupt.
class BlockFileIo {
 public:
  /// `always_ready`: the file system is memory (tmpfs), so that no read waits for a device.
  BlockFileIo(std::shared_ptr<BufferPool> pool, bool always_ready)
      : pool_(std::move(pool)), always_ready_(always_ready) {}

  /// nullopt only when `ready_only` and the page cache lacks a part of the range, or a second look
  /// is needed.
  Result<std::optional<Payload>> read(const OpenBlock& block, Extent range, bool ready_only);
  /// Has the kernel read its beginning.
  static void will_read(const OpenBlock& block);
  Result<> write(const OpenBlock& block, std::uint32_t offset_bytes, const Payload& data);
  /// The range reads as zeros; its whole file-system blocks are given back where the file system
  /// can.
  Result<> zero(const OpenBlock& block, Extent range);
  static Result<std::vector<Extent>> extents(const OpenBlock& block,
                                             std::uint32_t block_size_bytes);
  /// As BlockStore's.
  Result<std::vector<Extent>> check(const OpenBlock& block, Extent range);
  Result<std::uint32_t> accept(const OpenBlock& block, Extent range);
  static Result<> give_up(const OpenBlock& block, Extent range);
  /// True when writing the range takes no space from the file system, on one that overwrites in
  /// place.
  static bool is_allocated(const OpenBlock& block, Extent range);

 private:
  Result<bool> fill(const OpenBlock& block, Extent range, std::byte* to, bool ready_only) const;
  Result<bool> seems_fine(const OpenBlock& block, Extent units, std::byte* buffer);
  Result<Payload> read_alone(const OpenBlock& block, Extent units);
  Result<Payload> edge(const OpenBlock& block, Extent part);
  Result<> write_units(const OpenBlock& block, std::uint32_t offset_bytes, const Payload& data);
  Result<> zero_edge(const OpenBlock& block, Extent part);
  static Result<> zero_units(const OpenBlock& block, Extent units);
  Result<> after_short_write(const OpenBlock& block, std::uint32_t unit);

  const std::shared_ptr<BufferPool> pool_;  ///< shared: buffers that are out refer to it
  const bool always_ready_;
};

}  // namespace ukai
