// SPDX-License-Identifier: BSD-2-Clause
#pragma once

#include <algorithm>
#include <atomic>
#include <cstdint>
#include <memory>
#include <mutex>
#include <unordered_map>
#include <utility>
#include <vector>

#include "fuse/inode_table.h"
#include "ukai/host_disks.h"

namespace ukai::fuse {

/// One open file of the mount, from OPEN to RELEASE; requests in flight keep it longer.
struct Handle {
  std::shared_ptr<Inode> inode;
  std::shared_ptr<OpenDisk> disk;
  bool writable = false;
  /// Something was written that no flush through this handle has covered yet.
  std::atomic<bool> unflushed{false};
  /// Furthest end of a write through this handle that failed; 0: none did.
  std::atomic<std::uint64_t> failed_write_end_bytes{0};
};

/// One listing of the mount's folder. The kernel asks for it piece by piece.
struct FolderHandle {
  std::mutex mutex;
  std::vector<DiskName> names;  // guarded by mutex
};

/// File handles by the number the kernel hands back. Numbers are never used twice.
///
/// Threads: safe from any.
template <class T>
class HandleTable {
 public:
  std::uint64_t add(std::shared_ptr<T> handle) {
    std::lock_guard lock(mutex_);
    handles_.emplace(++last_, std::move(handle));
    return last_;
  }
  /// nullptr: no such handle.
  std::shared_ptr<T> find(std::uint64_t number) const {
    std::lock_guard lock(mutex_);
    const auto found = handles_.find(number);
    return found == handles_.end() ? nullptr : found->second;
  }
  /// Takes it out; the last reference may be dropped by the caller.
  std::shared_ptr<T> remove(std::uint64_t number) {
    std::lock_guard lock(mutex_);
    const auto found = handles_.find(number);
    if (found == handles_.end()) return nullptr;
    auto handle = std::move(found->second);
    handles_.erase(found);
    return handle;
  }
  std::vector<std::pair<std::uint64_t, std::shared_ptr<T>>> all() const {
    std::lock_guard lock(mutex_);
    return {handles_.begin(), handles_.end()};
  }
  /// One of an earlier process, under its number.
  void restore(std::uint64_t number, std::shared_ptr<T> handle) {
    std::lock_guard lock(mutex_);
    handles_.emplace(number, std::move(handle));
    last_ = std::max(last_, number);
  }
  std::uint64_t last() const {
    std::lock_guard lock(mutex_);
    return last_;
  }
  void used_up_to(std::uint64_t number) {
    std::lock_guard lock(mutex_);
    last_ = std::max(last_, number);
  }
  /// Drops all: nobody can reach them any more.
  void clear() {
    std::unordered_map<std::uint64_t, std::shared_ptr<T>> dropped;
    std::lock_guard lock(mutex_);
    dropped.swap(handles_);
  }

 private:
  mutable std::mutex mutex_;
  std::unordered_map<std::uint64_t, std::shared_ptr<T>> handles_;  // guarded by mutex_
  std::uint64_t last_ = 0;                                         // guarded by mutex_
};

}  // namespace ukai::fuse
