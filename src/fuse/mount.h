// SPDX-License-Identifier: BSD-2-Clause
#pragma once

#include <sys/stat.h>

#include <atomic>
#include <memory>
#include <optional>
#include <string>

#include "fuse/fuse_buffers.h"
#include "fuse/fuse_options.h"
#include "fuse/inode_table.h"
#include "fuse/open_handles.h"
#include "fuse/request.h"

namespace ukai::fuse {

/// The kernel asks once in the life of a mount, which several processes may serve.
struct KernelTerms {
  std::string init_request;          ///< as it came
  std::atomic<bool> greeted{false};  ///< init_request is there
  std::optional<unsigned> want;      ///< FUSE_CAP_*: agreed
};

/// What the operations of one mount share.
/// Threads: constant after construction, or safe from any by itself.
struct Mount {
  Mount(FuseOptions mount_options, HostDisks& host_disks)
      : options(std::move(mount_options)), disks(host_disks) {}

  const FuseOptions options;
  HostDisks& disks;
  InodeTable inodes;
  HandleTable<Handle> handles;
  HandleTable<FolderHandle> folders;
  FuseBuffers buffers;
  InFlight in_flight;
  /// What was agreed with the kernel in FUSE_INIT; by the thread that receives it.
  KernelTerms terms;
};

inline Mount& mount_of(fuse_req_t request) {
  return *static_cast<Mount*>(fuse_req_userdata(request));
}

/// Attributes of the mount's folder, and of a disk's file as `inode` shows it. The latter notes
/// that the kernel hears this size.
struct stat folder_stat(const Mount& mount);
struct stat file_stat(const Mount& mount, Inode& inode, const DiskAttributes& disk);

/// The disk's attributes now: from the metadata, or else from an open handle, so that an open file
/// has attributes while the metadata cannot be asked and after the disk was renamed.
Task<Result<DiskAttributes>> disk_of(Mount& mount, std::shared_ptr<Inode> inode);

// Each file of operations fills in its own; thread: the one that sets the session up.
void add_name_operations(fuse_lowlevel_ops& operations);       ///< lookup, readdir, what is refused
void add_attribute_operations(fuse_lowlevel_ops& operations);  ///< getattr, setattr, statfs, xattr
void add_open_operations(fuse_lowlevel_ops& operations);       ///< open, create, release
void add_io_operations(fuse_lowlevel_ops& operations);         ///< read, write, flush, fsync
void add_space_operations(fuse_lowlevel_ops& operations);      ///< fallocate, lseek
void add_lock_operations(fuse_lowlevel_ops& operations);       ///< fcntl's locks

// What locks end with: close(2) by their owner, the last close of their handle.
void drop_locks_of_owner(Mount& mount, Inode& inode, std::uint64_t owner);
void drop_locks_of_handle(Mount& mount, Inode& inode, std::uint64_t handle);

/// The buffer that this thread received the current request into. libfuse hands a write's payload
/// as a bare pointer into it; this is how the write finds what to keep alive.
std::shared_ptr<FuseBuffers::Buffer>& current_buffer();

}  // namespace ukai::fuse
