// SPDX-License-Identifier: BSD-2-Clause
#pragma once

#include <array>
#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <set>
#include <string>

#include "store/unit_sums.h"
#include "ukai/block_store.h"

namespace ukai {

/// BlockStore in memory for tests and the simulator, with a page cache in front of its "medium":
/// writes reach the medium at a flush, and a power cut loses what has not. Small files are durable
/// on return. Data and checksums reach the medium one without the other, as they do in files.
/// Deterministic: what it does follows from the calls and the seeds alone.
///
/// Threads: safe from any.
class MemoryBlockStore final : public BlockStore {
 public:
  enum class Op {
    read,
    will_read,
    write,
    zero,
    flush,
    extents,
    load_file,
    replace_file,
    append_file
  };
  static constexpr std::size_t ops = 9;
  static constexpr std::uint32_t sector_bytes = unit_bytes;

  explicit MemoryBlockStore(std::uint64_t capacity_bytes = 1ULL << 40)
      : capacity_bytes_(capacity_bytes) {}

  Result<> open_disk(DiskId disk, std::uint32_t block_size_bytes) override;
  Result<> delete_disk(DiskId disk) override;
  Result<std::vector<DiskId>> disks() override;
  Result<std::optional<Payload>> read(BlockKey key, std::uint32_t offset_bytes,
                                      std::uint32_t length_bytes, bool ready_only) override;
  void will_read(BlockKey key) override;
  Result<> write(BlockKey key, std::uint32_t offset_bytes, const Payload& data) override;
  Result<> zero(BlockKey key, std::uint32_t offset_bytes, std::uint32_t length_bytes) override;
  Result<std::optional<std::vector<Generation>>> versions(DiskId disk, BlockIndex block,
                                                          bool ready_only) override;
  Result<> fork(BlockKey from, Generation to, std::uint32_t offset_bytes,
                const Payload& data) override;
  Result<> blank(BlockKey key) override;
  Result<> clone_disk(DiskId from, const std::vector<BlockKey>& frozen, DiskId made) override;
  Result<> flush(DiskId disk) override;
  Result<std::vector<Extent>> extents(BlockKey key) override;
  Result<std::vector<Extent>> check(BlockKey key, Extent range) override;
  Result<std::uint32_t> accept(BlockKey key, Extent range) override;
  Result<> give_up(BlockKey key, Extent range) override;
  Result<Usage> usage(DiskId disk) override;
  Result<Holding> holding(DiskId disk) override;
  Result<std::optional<std::string>> load_file(DiskId disk, std::string_view name) override;
  Result<> replace_file(DiskId disk, std::string_view name, std::string_view content) override;
  Result<> append_file(DiskId disk, std::string_view name, std::string_view content) override;
  Result<StoreSpace> space() override;
  std::string store_id() const override { return "memory"; }

  // -- faults

  /// The machine loses power: all that was not flushed is lost.
  void power_cut();
  /// The same, except that each unflushed 4 KiB sector, and each checksum, reached the medium or
  /// not as `seed` says.
  void power_cut(std::uint64_t seed);
  /// A bit of the sector with this byte turns over, in the cache and on the medium.
  void corrupt(BlockKey key, std::uint32_t offset_bytes);
  /// The data of a block that must be there goes, as when its file is deleted.
  void lose_data(BlockKey key);
  /// The process ends and starts again on the same boot: the page cache stays.
  void restart_process();
  /// The next `count` calls of `op` fail with `code` and change nothing (but see below: a failed
  /// flush loses what it should have written). A failed append leaves half of its content behind.
  void fail_next(Op op, Code code, int count = 1);
  void fail_always(Op op, Code code) { fail_next(op, code, -1); }
  void stop_failing();
  /// Reads with ready_only answer nullopt while cold.
  void set_cold(bool cold);
  void set_capacity(std::uint64_t capacity_bytes);
  /// Runs before each call of an op, with no lock held: a place for tests to stop a thread.
  void set_hook(std::function<void(Op, const BlockKey&)> hook);
  /// What the block reads as, and which blocks of the disk hold something: for tests that look
  /// behind the node's back; no fault is met and no call counted.
  std::string contents(BlockKey key) const;
  std::vector<BlockKey> blocks(DiskId disk) const;
  /// Number of calls so far, failed ones included.
  std::uint64_t calls(Op op) const;

 private:
  using Sector = std::array<std::byte, sector_bytes>;
  /// shared: the cache and the medium refer to the same bytes until one of them changes.
  using SectorRef = std::shared_ptr<const Sector>;
  using Sectors = std::map<std::uint32_t, SectorRef>;  // by index within the block; absent: zeros
  using Sums = std::map<std::uint32_t, UnitSum>;       // absent: sum_of_nothing
  struct Block {
    bool named = false;          ///< there is a version whatever it holds: it was forked or blanked
    bool durably_named = false;  ///< else a power cut may take it away, with all that it holds
    BlockKey sums_as;            ///< what its checksums are mixed with
    Sectors cached;
    Sectors durable;
    Sums sums;
    Sums durable_sums;
    std::set<std::uint32_t> unflushed;
  };
  struct Disk {
    std::uint32_t block_size_bytes = 0;
    bool failed = false;  // a flush has; until reopened
    std::map<BlockKey, Block> blocks;
    std::map<std::string, std::string, std::less<>> files;
  };
  struct Fault {
    Code code = Code::io;
    int left = 0;  // -1: for ever
  };

  Result<> begin(Op op, const BlockKey& key);
  Result<Disk*> find(DiskId disk);
  static Result<> check_range(const Disk& disk, std::uint64_t offset, std::uint64_t length);
  void put(Block& block, std::uint32_t index, SectorRef sector);
  void remove(Block& block);
  Block& add(Disk& disk, const BlockKey& key);
  static bool is_there(const Block& block) {
    return block.named || !block.cached.empty() || !block.sums.empty();
  }
  static bool fits(const Block& block, std::uint32_t index);
  /// corrupt when a sector that the range touches does not fit.
  static Result<> check_fit(const BlockKey& key, const Block& block, std::uint64_t begin,
                            std::uint64_t end);
  /// The same for those that the range touches in part.
  static Result<> check_edges(const BlockKey& key, const Block& block, std::uint32_t offset,
                              std::uint32_t length);
  static void reach_medium(Block& block, std::uint32_t index, bool data, bool sum);
  void cut(const std::function<bool()>& survives);

  mutable std::mutex mutex_;
  std::uint64_t capacity_bytes_;  // by mutex_, as everything below
  std::uint64_t sectors_ = 0;     // cached ones of all disks
  std::map<DiskId, Disk> disks_;
  std::array<Fault, ops> faults_{};
  std::array<std::uint64_t, ops> calls_{};
  bool cold_ = false;
  std::function<void(Op, const BlockKey&)> hook_;
};

}  // namespace ukai
