// SPDX-License-Identifier: BSD-2-Clause
#pragma once

#include <atomic>
#include <memory>
#include <shared_mutex>
#include <string>
#include <vector>

#include "store/unit_sums.h"

namespace ukai {

/// What stands behind a block's data in its file (docs/block-format.md): a header that says which
/// block version this is, and a checksum for each 4 KiB unit of the data. One fdatasync therefore
/// covers both. The checksums are kept in memory as long as the file is open.
///
/// `mutex`: whoever changes data and then its checksums holds it shared; who needs the two to fit,
/// exclusively. Reading without it may see a change half done.
///
/// Threads: safe from any, under the rule above.
class BlockTrailer {
 public:
  static constexpr std::size_t header_bytes = 64;

  /// `path` is for messages. `origins`: disks whose frozen versions may stand here as well.
  BlockTrailer(const BlockKey& key, std::uint32_t block_size_bytes, std::string path,
               std::vector<DiskId> origins = {});

  std::uint64_t file_bytes() const;
  const UnitSummer& summer() const { return summer_; }

  /// Reads the trailer. A version may have begun as a copy or as a link of an older one, of this
  /// disk or of an origin, and keeps its header. Any other makes every unit damaged, until it is
  /// written again. Errors: io.
  Result<> load(int fd);
  /// Writes the trailer of a new file, so that its space is taken.
  Result<> create(int fd);
  /// Every unit is damaged, and nothing of the trailer is on the medium.
  void lose();
  /// False: the next store() writes all of it, which needs the mutex exclusively.
  bool whole() const { return whole_.load(std::memory_order_acquire); }

  UnitSum sum(std::uint32_t unit) const { return sums_[unit].load(std::memory_order_relaxed); }
  void set(std::uint32_t unit, UnitSum sum) { sums_[unit].store(sum, std::memory_order_relaxed); }
  /// Writes the checksums of [first, end), from memory.
  Result<> store(int fd, std::uint32_t first, std::uint32_t end);
  /// The units of [first, end) for which the file does not say what the memory says. The mutex is
  /// held exclusively.
  Result<std::vector<std::uint32_t>> differing(int fd, std::uint32_t first, std::uint32_t end);

  std::shared_mutex mutex;

 private:
  std::string header() const;
  bool adopt_header(const std::string& found);
  Result<> store_whole(int fd);
  Result<bool> header_stands(int fd) const;

  BlockKey key_;  ///< as the header has it; constant once loaded
  const std::string path_;
  const std::vector<DiskId> origins_;
  const std::uint32_t block_size_bytes_;
  const std::uint32_t units_;
  UnitSummer summer_;  ///< of key_
  const std::unique_ptr<std::atomic<UnitSum>[]> sums_;
  std::atomic<bool> whole_{false};
};

}  // namespace ukai
