// SPDX-License-Identifier: BSD-2-Clause
#pragma once

#include <list>
#include <memory>
#include <mutex>
#include <optional>
#include <unordered_map>

#include "store/disk_folder.h"

namespace ukai {

/// The block files that are open, least recently used ones closed beyond a bound. A file that was
/// written since its disk's last flush is synced before it is closed.
///
/// The bound may be exceeded by the number of files in use at the same moment.
/// Threads: safe from any.
class OpenFiles {
 public:
  explicit OpenFiles(std::size_t files_max) : files_max_(files_max) {}

  /// Keeps one file from being closed.
  class Use {
   public:
    explicit Use(std::shared_ptr<BlockFile> file) : file_(std::move(file)) {}
    Use(Use&&) noexcept = default;
    Use& operator=(Use&&) = delete;
    ~Use() {
      if (file_) file_->users.fetch_sub(1, std::memory_order_release);
    }
    BlockFile& operator*() const { return *file_; }
    BlockFile* operator->() const { return file_.get(); }

   private:
    std::shared_ptr<BlockFile> file_;  // shared: its disk's list of unsynced files has it too
  };

  /// May sync and close another file.
  Use use(const std::shared_ptr<DiskFolder>& disk, BlockKey key);
  /// nullopt instead of touching the file system.
  std::optional<Use> use_if_open(BlockKey key);
  /// Forgets all files of a disk that is being removed; those in use close when their use ends.
  void drop(DiskId disk);
  std::size_t size() const;

 private:
  struct Hash {
    std::size_t operator()(const BlockKey& key) const;
  };
  struct Entry {
    std::shared_ptr<BlockFile> file;
    std::list<BlockKey>::iterator place;
  };

  Use take(Entry& entry);
  /// An unused file that may be closed now, or else the oldest unused one; nullptr: all are in use.
  std::shared_ptr<BlockFile> pick_victim() const;
  void close_one();
  void erase_if_idle(const BlockFile& file);

  const std::size_t files_max_;
  mutable std::mutex mutex_;
  std::unordered_map<BlockKey, Entry, Hash> entries_;  // by mutex_
  std::list<BlockKey> recent_;                         // by mutex_; most recent first
};

}  // namespace ukai
