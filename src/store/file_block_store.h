// SPDX-License-Identifier: BSD-2-Clause
#pragma once

#include <map>
#include <memory>
#include <mutex>
#include <shared_mutex>
#include <string>

#include "store/block_file.h"
#include "store/open_files.h"
#include "store/space_watch.h"
#include "store/store_folder.h"
#include "ukai/block_store.h"
#include "ukai/limits.h"

namespace ukai {

struct FileStoreOptions {
  std::string root;
  NodeId node_id;
  std::string cluster_id;
  std::uint64_t reserve_bytes = limits::reserve_bytes_default;  ///< left free on the file system
  std::size_t open_files_max = limits::open_files_default;
  bool create_if_empty = true;
  /// What a disk takes is counted anew at every question, unless the last count took longer.
  std::chrono::steady_clock::duration quick_count = std::chrono::milliseconds(5);
};

/// BlockStore on a folder: one sparse file a block version (docs/block-format.md). Works on any
/// Linux file system; thin blocks need one with holes.
class FileBlockStore final : public BlockStore {
 public:
  FileBlockStore(StoreFolder folder, const FileStoreOptions& options, bool always_ready);

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
  std::string store_id() const override { return folder_.store_id; }

  std::size_t open_files() const { return files_.size(); }

 private:
  using DiskRef = std::shared_ptr<DiskFolder>;  // shared: calls in flight outlive delete_disk

  /// Opens the folder of a disk that this process has not used yet; not_found without one.
  Result<DiskRef> find(DiskId disk);
  Result<DiskRef> load(DiskId disk);
  Result<DiskRef> create(DiskId disk, std::uint32_t block_size_bytes);
  /// A disk's folder, in the making; end_folder() gives it its name, durably.
  Result<Folder> begin_folder(DiskId disk, std::uint32_t block_size_bytes,
                              const std::vector<DiskId>& origins);
  Result<> end_folder(DiskId disk, std::uint32_t block_size_bytes, Folder folder,
                      std::vector<DiskId> origins);
  Result<> check_space(const DiskRef& disk, BlockFile& file, Extent range);
  Result<> ensure_open(const DiskRef& disk, BlockFile& file, bool create);
  template <class Change>
  Result<> change(const DiskRef& disk, BlockFile& file, bool create, const Change& change_it);
  Result<> unshare(const DiskRef& disk, BlockFile& file);
  Error full() const;
  Result<> sync_predecessor();

  const StoreFolder folder_;
  const std::chrono::steady_clock::duration quick_count_;
  SpaceWatch space_;
  const std::shared_ptr<BufferPool> pool_;  ///< shared with the buffers that are out
  BlockFileIo io_;
  OpenFiles files_;

  std::shared_mutex disks_mutex_;
  std::map<DiskId, DiskRef> disks_;  // by disks_mutex_

  /// Whether what a former process left in the page cache is durable.
  enum class StartSync { pending, done, failed };
  std::mutex start_mutex_;
  StartSync start_sync_;  // by start_mutex_
};

/// Opens or formats the folder; errors as open_store_folder().
Result<std::unique_ptr<BlockStore>> open_file_store(const FileStoreOptions& options);

}  // namespace ukai
