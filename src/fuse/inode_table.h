// SPDX-License-Identifier: BSD-2-Clause
#pragma once

#include <sys/types.h>

#include <atomic>
#include <cstdint>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <set>
#include <vector>

#include "fuse/lock_table.h"
#include "ukai/host_disks.h"
#include "ukai/types.h"
#include "ukai_takeover.pb.h"

namespace ukai::fuse {

/// Nanoseconds of the wall clock since 1970: what files carry.
using FileTime = std::int64_t;
FileTime file_time_now();

/// What somebody set with chmod, chown or utimens.
struct AttributeChange {
  std::optional<uid_t> uid;
  std::optional<gid_t> gid;
  std::optional<mode_t> mode;  ///< permission bits only
  std::optional<FileTime> accessed;
  std::optional<FileTime> modified;
  bool empty() const { return !uid && !gid && !mode && !accessed && !modified; }
};

/// One file of the mount as the kernel knows it. Its attributes beyond the disk's own (owner, mode,
/// times) live in memory, for this mount only: they are about this machine's users.
///
/// Threads: safe from any.
class Inode {
 public:
  Inode(std::uint64_t inode_number, DiskId disk_id, DiskName name)
      : number(inode_number), disk(disk_id), name_(std::move(name)) {}

  const std::uint64_t number;
  const DiskId disk;

  DiskName name() const;
  void rename(const DiskName& name);
  void change(const AttributeChange& change);
  AttributeChange changes() const;  ///< all that was set so far
  FileTime changed() const { return changed_.load(std::memory_order_relaxed); }

  /// fcntl's locks on the file. Whoever changes them tells the disks of what changed, and keeps the
  /// mutex meanwhile, so that they hear it in this order.
  std::mutex locks_mutex;
  LockTable locks;  // guarded by locks_mutex

  /// The contents changed now.
  void written() { written_.store(file_time_now(), std::memory_order_relaxed); }
  FileTime last_written() const { return written_.load(std::memory_order_relaxed); }

  /// The newest open handle's disk, while there is one: it answers when the metadata cannot.
  void set_open(const std::shared_ptr<OpenDisk>& open);
  std::shared_ptr<OpenDisk> open() const;

  /// The kernel was told this size. It remembers it until told another, and truncates a file to it
  /// after a failed asynchronous write that reached beyond.
  void told_size(std::uint64_t size_bytes);
  bool was_told_size(std::uint64_t size_bytes) const;

  /// All but the kernel's references, the locks and what is open.
  void save(pb::InodeState& out) const;
  void restore(const pb::InodeState& state);

 private:
  friend class InodeTable;
  mutable std::mutex mutex_;
  DiskName name_;                       // guarded by mutex_
  AttributeChange changes_;             // guarded by mutex_
  std::weak_ptr<OpenDisk> open_;        // guarded by mutex_
  std::set<std::uint64_t> sizes_told_;  // guarded by mutex_; a disk has few sizes in its life
  std::atomic<FileTime> written_{0};
  std::atomic<FileTime> changed_{0};
  std::uint64_t lookups_ = 0;  // guarded by the table's mutex
};

/// The inodes the kernel holds references to. A disk has the same number on every mount and after
/// every remount: it comes from the disk's id.
///
/// Threads: safe from any.
class InodeTable {
 public:
  static constexpr std::uint64_t root_number = 1;

  InodeTable();

  /// The inode of this disk, with one more reference held by the kernel.
  std::shared_ptr<Inode> look_up(const DiskAttributes& disk);
  /// The kernel dropped `count` references.
  void forget(std::uint64_t number, std::uint64_t count);
  /// nullptr: no such inode.
  std::shared_ptr<Inode> find(std::uint64_t number) const;
  const std::shared_ptr<Inode>& root() const { return root_; }

  /// The root and all others.
  std::vector<std::shared_ptr<Inode>> all() const;
  std::uint64_t lookups(const Inode& inode) const;
  /// The inode of an earlier process. invalid: nobody could have had such a one.
  Result<std::shared_ptr<Inode>> restore(const pb::InodeState& state);

 private:
  const std::shared_ptr<Inode> root_;
  mutable std::mutex mutex_;
  std::map<std::uint64_t, std::shared_ptr<Inode>>
      inodes_;  // guarded by mutex_; shared: requests in flight
};

}  // namespace ukai::fuse
