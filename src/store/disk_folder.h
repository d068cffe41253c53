// SPDX-License-Identifier: BSD-2-Clause
#pragma once

#include <atomic>
#include <chrono>
#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <set>
#include <shared_mutex>
#include <string>
#include <vector>

#include "store/block_file.h"
#include "store/posix_file.h"
#include "ukai/block_store.h"

namespace ukai {

class DiskFolder;

/// One block version's file, or the knowledge that there is none. There is never more than one
/// of these for a key with users, so that what it knows of the file holds.
struct BlockFile : std::enable_shared_from_this<BlockFile> {
  enum class Presence { unknown, absent, present };

  BlockFile(BlockKey file_key, std::weak_ptr<DiskFolder> file_disk)
      : key(file_key), disk(std::move(file_disk)) {}

  const BlockKey key;
  const std::weak_ptr<DiskFolder> disk;   ///< weak: the disk refers to its unsynced files
  std::shared_mutex state;                ///< shared: I/O on fd; exclusive: open, create, remove
  UniqueFd fd;                            ///< by state
  Presence presence = Presence::unknown;  ///< by state
  bool shared = false;                    ///< by state; a clone's version may be the same file
  std::unique_ptr<BlockTrailer> trailer;  ///< by state; there is one while fd is open
  std::atomic<bool> unsynced{false};      ///< set only by its disk's unsynced_mutex_
  std::atomic<int> users{0};              ///< grows only by the cache's mutex
};

/// One disk's folder: its block files by name, what of them is not durable yet, and its small
/// files.
///
/// Threads: safe from any.
class DiskFolder {
 public:
  /// What the first flush must do besides syncing the files this object has seen written.
  enum class FirstFlush {
    nothing,      ///< the disk is new
    predecessor,  ///< a former process may have left data in the page cache: `sync_predecessor`
    file_system,  ///< reopened after a failure: all
  };
  using SyncAll = std::function<Result<>()>;

  DiskFolder(DiskId id, std::uint32_t block_size_bytes, Folder folder,
             std::chrono::steady_clock::duration quick_count, std::vector<DiskId> origins = {})
      : id_(id),
        block_size_bytes_(block_size_bytes),
        folder_(std::move(folder)),
        origins_(std::move(origins)),
        quick_count_(quick_count) {}

  DiskId id() const { return id_; }
  std::uint32_t block_size_bytes() const { return block_size_bytes_; }
  const Folder& folder() const { return folder_; }
  /// Disks that this one began as a clone of, directly or not.
  const std::vector<DiskId>& origins() const { return origins_; }
  std::string path_of(const BlockKey& key) const;
  /// The caller holds file.state, and the file is open.
  OpenBlock handle_of(const BlockFile& file) const {
    return {file.fd.get(), *file.trailer, folder_.path, file.key};
  }

  // -- block files; the caller holds file.state exclusively
  /// Finds out whether there is a file, and makes one if `create`. A file that must be there and is
  /// not is made as well, with nothing in it that fits its checksum.
  Result<> open(BlockFile& file, bool create);
  Result<> remove(BlockFile& file);
  /// Makes the file with the content of `base`, which is open, and the data; changes of `base`
  /// wait. exists, corrupt.
  Result<> fork(BlockFile& file, const BlockFile& base, BlockFileIo& io, std::uint32_t offset_bytes,
                const Payload& data);
  /// Links the file of a frozen version, under generation 1, into the folder of a clone.
  Result<> link_into(const Folder& clone, const BlockKey& frozen);
  /// Its name stands for a file that no other disk has. The file is open.
  Result<> unshare(BlockFile& file);
  /// True when the open file is no longer what its name stands for.
  bool gone(const BlockFile& file) const;
  /// The next open() looks again.
  static void forget(BlockFile& file);

  // -- durability
  /// Called after each change and before it is answered.
  void mark_unsynced(BlockFile& file);
  /// Makes one file durable ahead of the next flush, which reports a failure of it.
  void sync_early(BlockFile& file);
  /// io: sticky until reopen().
  Result<> flush(const SyncAll& sync_predecessor);
  void set_first_flush(FirstFlush what);
  bool failed() const { return failed_.load(); }
  /// Forgets a failure.
  void reopen();

  /// By a walk over the files; one that took longer than `quick_count` is good for ten times as
  /// long as it took.
  Result<BlockStore::Usage> usage();
  /// All that have a file, sorted.
  Result<std::vector<BlockKey>> blocks() const;
  /// Of one block, ascending; nullopt: `ready_only`, and nobody has looked yet.
  Result<std::optional<std::vector<Generation>>> versions(BlockIndex block, bool ready_only);

  // -- small files
  Result<std::optional<std::string>> load_file(const std::string& name);
  Result<> replace_file(const std::string& name, std::string_view content);
  Result<> append_file(const std::string& name, std::string_view content);

 private:
  using FileId = std::pair<BlockIndex, Generation>;

  Result<bool> marked(const BlockKey& key) const;
  static Result<> mark(const Folder& folder, const BlockKey& key);
  Result<UniqueFd> copy_of(const BlockFile& base, const std::string& name, Extent except) const;
  void index(const BlockKey& key, bool there);
  Result<> load_index(std::uint64_t shard);
  Result<> create(BlockFile& file, bool lost);
  Result<> flush_files(const SyncAll& sync_predecessor);
  Result<> sync_folders(const std::set<std::string>& shards);
  Result<> sync_file(BlockFile& file);
  Result<BlockStore::Usage> measure() const;

  const DiskId id_;
  const std::uint32_t block_size_bytes_;
  const Folder folder_;
  const std::vector<DiskId> origins_;

  /// Which versions there are, of the shards that somebody has asked about.
  std::mutex index_mutex_;
  std::set<std::uint64_t> indexed_shards_;                  // by index_mutex_
  std::map<BlockIndex, std::vector<Generation>> versions_;  // by index_mutex_; of those shards

  /// One sync of this disk's files at a time: a flush must not overtake an early sync of a file
  /// that it therefore no longer finds in unsynced_.
  std::mutex sync_mutex_;
  std::atomic<bool> failed_{false};
  std::string failure_;                           // by sync_mutex_
  FirstFlush first_flush_ = FirstFlush::nothing;  // by sync_mutex_

  std::mutex unsynced_mutex_;
  std::map<FileId, std::shared_ptr<BlockFile>> unsynced_;  // by unsynced_mutex_
  std::set<std::string> unsynced_shards_;                  // by unsynced_mutex_

  std::mutex small_mutex_;
  std::map<std::string, UniqueFd> appending_;  // by small_mutex_

  const std::chrono::steady_clock::duration quick_count_;
  std::atomic<std::uint64_t> changes_{0};
  std::mutex usage_mutex_;
  std::uint64_t usage_changes_ = 0;  // by usage_mutex_, as the rest
  BlockStore::Usage usage_;
  std::chrono::steady_clock::time_point usage_time_;
  std::optional<std::chrono::steady_clock::duration> usage_cost_;
};

}  // namespace ukai
