// SPDX-License-Identifier: BSD-2-Clause
// Opening and closing disks. An open for writing takes a disk's lease if it is free.
#include <fcntl.h>
#include <linux/fuse.h>

#include <cerrno>

#include "fuse/mount.h"

namespace ukai::fuse {
namespace {

/// Every open of a disk carries the same flags: the kernel lets synchronous writers run side by
/// side only while no open of the file is in cached mode.
std::uint32_t open_flags(const FuseOptions& options) {
  return options.kernel_cache ? 0 : FOPEN_DIRECT_IO | FOPEN_PARALLEL_DIRECT_WRITES;
}

Task<void> open_file(Mount& mount, Request request, std::shared_ptr<Inode> inode, bool writable) {
  const OpenMode mode = writable ? OpenMode::read_write : OpenMode::read_only;
  auto disk = co_await mount.disks.open(inode->name(), mode);
  if (!disk) {
    request.fail(disk.error());
    co_return;
  }
  // The name may have passed to another disk since the kernel looked it up; it will look again.
  if ((*disk)->attributes().id != inode->disk) {
    request.fail(ESTALE);
    co_return;
  }
  auto handle = std::make_shared<Handle>();
  handle->inode = inode;
  handle->disk = std::move(*disk);
  handle->writable = writable;
  inode->set_open(handle->disk);
  const std::uint64_t number = mount.handles.add(std::move(handle));
  if (!request.opened(number, open_flags(mount.options))) mount.handles.remove(number);
}

void on_open(fuse_req_t raw, fuse_ino_t number, fuse_file_info* info) {
  Mount& mount = mount_of(raw);
  Request request(raw, mount.in_flight);
  auto inode = mount.inodes.find(number);
  if (!inode) return request.fail(ESTALE);
  const bool writable = (info->flags & O_ACCMODE) != O_RDONLY;
  spawn(open_file(mount, std::move(request), std::move(inode), writable));
}

/// The kernel creates what its look-up just did not find. Should the disk have been made since,
/// ESTALE makes it look again and open that.
Task<void> create_file(Mount& mount, Request request, DiskName name) {
  auto disk = co_await mount.disks.stat(name);
  if (disk.ok()) {
    request.fail(ESTALE);
  } else if (disk.failed_with(Code::not_found)) {
    request.fail(EPERM);
  } else {
    request.fail(disk.error());
  }
}

void on_create(fuse_req_t raw, fuse_ino_t, const char* text, mode_t, fuse_file_info*) {
  Mount& mount = mount_of(raw);
  Request request(raw, mount.in_flight);
  auto name = parse_disk_name(text);
  if (!name) return request.fail(EPERM);
  spawn(create_file(mount, std::move(request), std::move(*name)));
}

void on_release(fuse_req_t raw, fuse_ino_t, fuse_file_info* info) {
  Mount& mount = mount_of(raw);
  Request request(raw, mount.in_flight);
  if (auto handle = mount.handles.remove(info->fh)) {
    // For OFD locks nothing else comes: neither an unlock nor a FLUSH of their owner.
    drop_locks_of_handle(mount, *handle->inode, info->fh);
    request.hold(std::move(handle));
  }
  request.done();
}

}  // namespace

void add_open_operations(fuse_lowlevel_ops& operations) {
  operations.open = on_open;
  operations.create = on_create;
  operations.release = on_release;
}

}  // namespace ukai::fuse
