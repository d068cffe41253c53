// SPDX-License-Identifier: BSD-2-Clause
// Giving space back and finding out where none is used.
#include <fcntl.h>
#include <linux/falloc.h>
#include <unistd.h>

#include <cerrno>

#include "fuse/mount.h"

namespace ukai::fuse {
namespace {

Task<void> zero_file(Request request, std::shared_ptr<Handle> held, ByteRange range) {
  Handle& handle = request.hold(std::move(held));
  handle.unflushed.store(true, std::memory_order_release);
  auto zeroed = co_await handle.disk->zero(range);
  if (!zeroed) {
    request.fail(zeroed.error());
    co_return;
  }
  handle.inode->written();
  request.done();
}

void on_fallocate(fuse_req_t raw, fuse_ino_t, int mode, off_t offset, off_t length,
                  fuse_file_info* info) {
  Mount& mount = mount_of(raw);
  Request request(raw, mount.in_flight);
  auto handle = mount.handles.find(info->fh);
  if (!handle) return request.fail(EBADF);
  if ((mode & ~(FALLOC_FL_KEEP_SIZE | FALLOC_FL_PUNCH_HOLE | FALLOC_FL_ZERO_RANGE)) != 0) {
    return request.fail(EOPNOTSUPP);
  }
  const std::uint64_t size = handle->disk->size_bytes();
  ByteRange range;
  range.begin_bytes = static_cast<std::uint64_t>(offset);
  range.end_bytes = range.begin_bytes + static_cast<std::uint64_t>(length);
  if (range.end_bytes > size) {
    if ((mode & FALLOC_FL_KEEP_SIZE) == 0) return request.fail(EFBIG);
    range.end_bytes = size;
  }
  // Space is never reserved ahead (the disk is thin), so plain fallocate has nothing to do.
  const bool zeroes = (mode & (FALLOC_FL_PUNCH_HOLE | FALLOC_FL_ZERO_RANGE)) != 0;
  if (!zeroes || range.empty()) return request.done();
  spawn(zero_file(std::move(request), std::move(handle), range));
}

struct Seek {
  std::uint64_t offset_bytes = 0;
  bool data = false;
};

Task<void> seek_file(Request request, std::shared_ptr<Handle> held, Seek seek) {
  Handle& handle = request.hold(std::move(held));
  auto found = co_await handle.disk->seek(seek.offset_bytes, seek.data);
  if (found) {
    request.offset(*found);
  } else if (found.failed_with(Code::not_found)) {
    request.fail(ENXIO);
  } else {
    request.fail(found.error());
  }
}

void on_lseek(fuse_req_t raw, fuse_ino_t, off_t offset, int whence, fuse_file_info* info) {
  Mount& mount = mount_of(raw);
  Request request(raw, mount.in_flight);
  auto handle = mount.handles.find(info->fh);
  if (!handle) return request.fail(EBADF);
  if (whence != SEEK_DATA && whence != SEEK_HOLE) return request.fail(EINVAL);
  if (offset < 0 || static_cast<std::uint64_t>(offset) >= handle->disk->size_bytes()) {
    return request.fail(ENXIO);
  }
  Seek seek;
  seek.offset_bytes = static_cast<std::uint64_t>(offset);
  seek.data = whence == SEEK_DATA;
  spawn(seek_file(std::move(request), std::move(handle), seek));
}

}  // namespace

void add_space_operations(fuse_lowlevel_ops& operations) {
  operations.fallocate = on_fallocate;
  operations.lseek = on_lseek;
}

}  // namespace ukai::fuse
