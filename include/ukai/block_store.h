// SPDX-License-Identifier: BSD-2-Clause
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "ukai/bytes.h"
#include "ukai/types.h"

namespace ukai {

struct StoreSpace {
  std::uint64_t capacity_bytes = 0;
  std::uint64_t free_bytes = 0;  ///< after the reserve
};

struct Extent {
  std::uint32_t begin_bytes = 0;
  std::uint32_t end_bytes = 0;
  auto operator<=>(const Extent&) const = default;
};

/// Block versions and small durable files of one node, on its file system (FileBlockStore) or in
/// memory with a page cache that can be lost (MemoryBlockStore). Knows nothing of sessions.
///
/// Every 4 KiB unit of a block version has a checksum, kept beside the data. Data that does not fit
/// is never returned: corrupt, for every call that needs the old content. A change that covers a
/// unit whole does not, and so mends it.
///
/// Errors: io (the device), no_space (the reserve would be touched), corrupt.
/// Threads: safe from any; calls on the same byte range of the same block version must not overlap
/// in time unless both read. Calls may block on the device.
class BlockStore {
 public:
  static constexpr std::uint32_t unit_bytes = 4096;  ///< what one checksum covers

  virtual ~BlockStore() = default;

  /// Creates the disk's folder and remembers its block size; not an error when it is there with the
  /// same one.
  virtual Result<> open_disk(DiskId disk, std::uint32_t block_size_bytes) = 0;
  /// Removes the disk and all of its blocks; not an error when it is not there. Space is given back
  /// when no file is open any more.
  virtual Result<> delete_disk(DiskId disk) = 0;
  virtual Result<std::vector<DiskId>> disks() = 0;

  /// Never-written bytes read as zero. `ready_only`: answers nullopt instead of waiting for the
  /// device.
  virtual Result<std::optional<Payload>> read(BlockKey key, std::uint32_t offset_bytes,
                                              std::uint32_t length_bytes, bool ready_only) = 0;
  /// The version will soon be read from its beginning on: what that takes from the device may be
  /// fetched now. Returns before all of it is there.
  virtual void will_read(BlockKey key) = 0;
  virtual Result<> write(BlockKey key, std::uint32_t offset_bytes, const Payload& data) = 0;
  /// The range reads as zero and its whole file-system blocks are given back; a block that holds
  /// nothing but zeros afterwards because the range covers all of it vanishes.
  virtual Result<> zero(BlockKey key, std::uint32_t offset_bytes, std::uint32_t length_bytes) = 0;

  // -- versions of a block (docs/decisions/0008-versions.md)
  /// Those that are here, ascending. nullopt: `ready_only`, and only the device could tell.
  virtual Result<std::optional<std::vector<Generation>>> versions(DiskId disk, BlockIndex block,
                                                                  bool ready_only) = 0;
  /// Makes version `to` with the content of `from`, and `data` at `offset_bytes`: after a crash it
  /// is whole or not there. A change of `from` that ends while `to` is not there yet is part of it.
  /// exists: it is there already.
  virtual Result<> fork(BlockKey from, Generation to, std::uint32_t offset_bytes,
                        const Payload& data) = 0;
  /// The version is there, and is nothing but zeros: it hides older ones.
  virtual Result<> blank(BlockKey key) = 0;
  /// Makes disk `made` of these versions of `from`, each as generation 1, without copying data. No
  /// change of theirs is under way; later ones are seen in one of the disks only. Durable on
  /// return, if the versions are. exists: it is there already.
  virtual Result<> clone_disk(DiskId from, const std::vector<BlockKey>& frozen, DiskId made) = 0;

  /// Makes everything written so far of `disk` durable: data, sizes, folders.
  /// io: all that was written since the last good flush must be taken as lost.
  virtual Result<> flush(DiskId disk) = 0;
  /// Ranges that may hold something else than zeros, sorted; empty: none.
  virtual Result<std::vector<Extent>> extents(BlockKey key) = 0;
  /// The units that `range` touches whose checksum does not fit, as ranges, sorted. Reads the data
  /// even where nothing is wrong.
  virtual Result<std::vector<Extent>> check(BlockKey key, Extent range) = 0;
  /// Takes what stands in the units that `range` touches for what was written, where it does not
  /// fit: right only after a crash, when data and checksum may be from different moments. How many
  /// did not fit.
  virtual Result<std::uint32_t> accept(BlockKey key, Extent range) = 0;
  /// The units that `range` touches are damaged from now on, until each is written whole: what they
  /// held is lost everywhere, and what stands there must not be taken for it.
  virtual Result<> give_up(BlockKey key, Extent range) = 0;
  /// Allocated bytes and number of block files.
  struct Usage {
    std::uint64_t allocated_bytes = 0;
    std::uint64_t blocks = 0;
    std::uint64_t shared_bytes = 0;  ///< of the allocated ones: also of other disks
    std::uint64_t own_bytes = 0;     ///< what is shared counts in part, so that disks add up
  };
  virtual Result<Usage> usage(DiskId disk) = 0;

  /// All block versions that are here, sorted, and how long blocks are. not_found: no such disk.
  struct Holding {
    std::uint32_t block_size_bytes = 0;
    std::vector<BlockKey> blocks;
  };
  virtual Result<Holding> holding(DiskId disk) = 0;

  // -- the disk's small files: replaced whole or appended to, durable on return
  /// `name`: "session", "dirty.log". nullopt: never written.
  virtual Result<std::optional<std::string>> load_file(DiskId disk, std::string_view name) = 0;
  virtual Result<> replace_file(DiskId disk, std::string_view name, std::string_view content) = 0;
  virtual Result<> append_file(DiskId disk, std::string_view name, std::string_view content) = 0;

  virtual Result<StoreSpace> space() = 0;
  /// Identity of this folder, made when it was formatted.
  virtual std::string store_id() const = 0;
};

}  // namespace ukai
