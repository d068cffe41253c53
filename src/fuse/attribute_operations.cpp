// SPDX-License-Identifier: BSD-2-Clause
// Attributes, truncation and the file system's own numbers.
#include <sys/statvfs.h>

#include <cerrno>
#include <optional>

#include "fuse/mount.h"
#include "ukai/limits.h"

namespace ukai::fuse {
namespace {

FileTime time_of(const timespec& time) {
  return FileTime{time.tv_sec} * 1'000'000'000 + time.tv_nsec;
}

Task<void> tell_attributes(Mount& mount, Request request, std::shared_ptr<Inode> inode) {
  auto disk = co_await disk_of(mount, inode);
  if (!disk) {
    request.fail(disk.error());
  } else {
    request.attributes(file_stat(mount, *inode, *disk));
  }
}

void on_getattr(fuse_req_t raw, fuse_ino_t number, fuse_file_info*) {
  Mount& mount = mount_of(raw);
  Request request(raw, mount.in_flight);
  if (number == InodeTable::root_number) return request.attributes(folder_stat(mount));
  auto inode = mount.inodes.find(number);
  if (!inode) return request.fail(ESTALE);
  spawn(tell_attributes(mount, std::move(request), std::move(inode)));
}

// -- truncation: what is beyond the new end is discarded, the size stays

/// Opens the disk for as long as a truncate(2) of its closed file takes.
Task<Result<>> zero_closed(Mount& mount, std::shared_ptr<Inode> inode, ByteRange range) {
  auto disk = co_await mount.disks.open(inode->name(), OpenMode::read_write);
  if (!disk) co_return disk.error();
  if ((*disk)->attributes().id != inode->disk) {
    co_return Error{Code::not_found, "the name belongs to another disk now"};
  }
  auto zeroed = co_await (*disk)->zero(range);
  if (!zeroed) co_return zeroed;
  co_return co_await (*disk)->flush();  // nobody will close it
}

/// After a failed asynchronous write that reached beyond what it takes for the end of the file, the
/// kernel truncates the file to that end by itself. When the disk has grown meanwhile without the
/// kernel noticing, this would discard good data.
bool is_kernels_own(Handle* handle, const Inode& inode, std::uint64_t end_bytes) {
  if (handle == nullptr || !inode.was_told_size(end_bytes)) return false;
  if (handle->failed_write_end_bytes.load() <= end_bytes) return false;
  handle->failed_write_end_bytes.store(0);
  return true;
}

struct Setting {
  AttributeChange change;
  std::optional<std::uint64_t> end_bytes;  ///< truncation
};

/// Discards `range`, the part of the disk beyond its new end; `handle` is null for truncate(2).
Task<Result<>> discard_beyond(Mount& mount, std::shared_ptr<Inode> inode, Handle* handle,
                              ByteRange range) {
  if (range.empty() || is_kernels_own(handle, *inode, range.begin_bytes)) co_return Unit{};
  if (handle == nullptr) {
    auto zeroed = co_await zero_closed(mount, inode, range);
    if (!zeroed) co_return zeroed;
  } else {
    handle->unflushed.store(true, std::memory_order_release);
    auto zeroed = co_await handle->disk->zero(range);
    if (!zeroed) co_return zeroed;
  }
  inode->written();
  co_return Unit{};
}

Task<void> set_attributes(Mount& mount, Request request, std::shared_ptr<Inode> inode,
                          Setting setting) {
  auto disk = co_await disk_of(mount, inode);
  if (!disk) {
    request.fail(disk.error());
    co_return;
  }
  if (setting.end_bytes) {
    Handle* handle = request.handle();
    ByteRange beyond;
    beyond.begin_bytes = *setting.end_bytes;
    beyond.end_bytes = handle != nullptr ? handle->disk->size_bytes() : disk->size_bytes;
    if (beyond.begin_bytes > beyond.end_bytes) {
      request.fail(EFBIG);  // growing is ukaictl's
      co_return;
    }
    auto discarded = co_await discard_beyond(mount, inode, handle, beyond);
    if (!discarded) {
      request.fail(discarded.error());
      co_return;
    }
  }
  if (!setting.change.empty()) inode->change(setting.change);
  struct stat attributes = file_stat(mount, *inode, *disk);
  if (setting.end_bytes && mount.options.kernel_cache) {
    // The kernel drops cached pages beyond the end only if it hears that the file is shorter; the
    // next look at its attributes tells the truth again.
    attributes.st_size = static_cast<off_t>(*setting.end_bytes);
    inode->told_size(*setting.end_bytes);
  }
  request.attributes(attributes);
}

AttributeChange change_of(const struct stat& asked, int to_set) {
  AttributeChange change;
  if (to_set & FUSE_SET_ATTR_MODE) change.mode = asked.st_mode & 07777;
  if (to_set & FUSE_SET_ATTR_UID) change.uid = asked.st_uid;
  if (to_set & FUSE_SET_ATTR_GID) change.gid = asked.st_gid;
  if (to_set & FUSE_SET_ATTR_ATIME) change.accessed = time_of(asked.st_atim);
  if (to_set & FUSE_SET_ATTR_MTIME) change.modified = time_of(asked.st_mtim);
  if (to_set & FUSE_SET_ATTR_ATIME_NOW) change.accessed = file_time_now();
  if (to_set & FUSE_SET_ATTR_MTIME_NOW) change.modified = file_time_now();
  return change;
}

void on_setattr(fuse_req_t raw, fuse_ino_t number, struct stat* asked, int to_set,
                fuse_file_info* info) {
  Mount& mount = mount_of(raw);
  Request request(raw, mount.in_flight);
  auto inode = mount.inodes.find(number);
  if (!inode) return request.fail(ESTALE);
  Setting setting;
  setting.change = change_of(*asked, to_set);
  if (number == InodeTable::root_number) {
    if (!setting.change.empty()) inode->change(setting.change);
    return request.attributes(folder_stat(mount));
  }
  if (to_set & FUSE_SET_ATTR_SIZE) setting.end_bytes = static_cast<std::uint64_t>(asked->st_size);
  if (info != nullptr) {
    auto handle = mount.handles.find(info->fh);
    if (!handle) return request.fail(EBADF);
    request.hold(std::move(handle));
  }
  spawn(set_attributes(mount, std::move(request), std::move(inode), setting));
}

// -- the file system

Task<void> tell_space(Mount& mount, Request request) {
  auto space = co_await mount.disks.space();
  if (!space) {
    request.fail(space.error());
    co_return;
  }
  constexpr std::uint64_t unit_bytes = 4096;
  struct statvfs out {};
  out.f_bsize = unit_bytes;
  out.f_frsize = unit_bytes;
  out.f_blocks = space->capacity_bytes / unit_bytes;
  out.f_bfree = space->free_bytes / unit_bytes;
  out.f_bavail = out.f_bfree;
  out.f_namemax = limits::disk_name_chars_max;
  request.space(out);
}

void on_statfs(fuse_req_t raw, fuse_ino_t) {
  Mount& mount = mount_of(raw);
  spawn(tell_space(mount, Request(raw, mount.in_flight)));
}

// There are no extended attributes. (The other calls are not implemented: the kernel then answers
// EOPNOTSUPP itself and never asks again.)
void on_listxattr(fuse_req_t raw, fuse_ino_t, std::size_t size) {
  Mount& mount = mount_of(raw);
  Request(raw, mount.in_flight).no_attribute_names(size);
}

}  // namespace

void add_attribute_operations(fuse_lowlevel_ops& operations) {
  operations.getattr = on_getattr;
  operations.setattr = on_setattr;
  operations.statfs = on_statfs;
  operations.listxattr = on_listxattr;
}

}  // namespace ukai::fuse
