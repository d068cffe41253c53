// SPDX-License-Identifier: BSD-2-Clause
#include <algorithm>

#include "fuse/mount.h"

namespace ukai::fuse {
namespace {

constexpr std::uint64_t sector_bytes = 512;  // the unit of st_blocks
// GNU tar takes a file without blocks for one hole and does not read it, so there is always one.
constexpr std::uint64_t sectors_min = 8;
// What cmp, stdio and others read at a time; each read is a trip to a node, so 4 KiB is too little.
constexpr blksize_t io_size_bytes = 128 << 10;

timespec time_of(FileTime time) { return {time / 1'000'000'000, time % 1'000'000'000}; }

}  // namespace

struct stat folder_stat(const Mount& mount) {
  const Inode& inode = *mount.inodes.root();
  const AttributeChange set = inode.changes();
  struct stat out {};
  out.st_ino = inode.number;
  out.st_mode = S_IFDIR | set.mode.value_or(0755);
  out.st_nlink = 2;
  out.st_uid = set.uid.value_or(mount.options.uid);
  out.st_gid = set.gid.value_or(mount.options.gid);
  out.st_blksize = io_size_bytes;
  out.st_atim = time_of(set.accessed.value_or(inode.last_written()));
  out.st_mtim = time_of(set.modified.value_or(inode.last_written()));
  out.st_ctim = time_of(std::max(inode.changed(), inode.last_written()));
  return out;
}

struct stat file_stat(const Mount& mount, Inode& inode, const DiskAttributes& disk) {
  const AttributeChange set = inode.changes();
  const auto created = static_cast<FileTime>(disk.created_unix_s) * 1'000'000'000;
  const FileTime written = inode.last_written();
  const FileTime modified = written != 0 ? written : set.modified.value_or(created);
  struct stat out {};
  out.st_ino = inode.number;
  const bool snapshot = disk.name.str().find('@') != std::string::npos;
  const mode_t mode = set.mode.value_or(mount.options.mode);
  out.st_mode = S_IFREG | (snapshot ? mode & ~mode_t{0222} : mode);
  out.st_nlink = 1;
  out.st_uid = set.uid.value_or(mount.options.uid);
  out.st_gid = set.gid.value_or(mount.options.gid);
  out.st_size = static_cast<off_t>(disk.size_bytes);
  out.st_blksize = io_size_bytes;
  out.st_blocks = static_cast<blkcnt_t>(
      std::max(sectors_min, (disk.allocated_bytes + sector_bytes - 1) / sector_bytes));
  out.st_atim = time_of(set.accessed.value_or(created));
  out.st_mtim = time_of(modified);
  out.st_ctim = time_of(std::max({created, written, inode.changed()}));
  inode.told_size(disk.size_bytes);
  return out;
}

Task<Result<DiskAttributes>> disk_of(Mount& mount, std::shared_ptr<Inode> inode) {
  auto found = co_await mount.disks.stat(inode->name());
  if (found.ok() && found->id == inode->disk) co_return found;
  if (const auto open = inode->open()) co_return open->attributes();
  if (found.ok()) co_return Error{Code::not_found, "the name belongs to another disk now"};
  co_return found;
}

std::shared_ptr<FuseBuffers::Buffer>& current_buffer() {
  thread_local std::shared_ptr<FuseBuffers::Buffer> buffer;
  return buffer;
}

}  // namespace ukai::fuse
