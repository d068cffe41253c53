// SPDX-License-Identifier: BSD-2-Clause
// The data path: read, write, flush. Each answers from the thread that completed it.
#include <fcntl.h>

#include <algorithm>
#include <cerrno>

#include "fuse/errno_map.h"
#include "fuse/mount.h"

namespace ukai::fuse {
namespace {

Task<void> read_file(Request request, std::shared_ptr<Handle> held, ByteRange range) {
  Handle& handle = request.hold(std::move(held));
  const auto length = static_cast<std::uint32_t>(range.size_bytes());
  auto payload = co_await handle.disk->read(range.begin_bytes, length);
  if (!payload) {
    request.fail(payload.error());
  } else {
    request.data(*payload);
  }
}

void on_read(fuse_req_t raw, fuse_ino_t, std::size_t size, off_t offset, fuse_file_info* info) {
  Mount& mount = mount_of(raw);
  Request request(raw, mount.in_flight);
  auto handle = mount.handles.find(info->fh);
  if (!handle) return request.fail(EBADF);
  ByteRange range;
  range.begin_bytes = static_cast<std::uint64_t>(offset);
  range.end_bytes = range.begin_bytes + size;
  spawn(read_file(std::move(request), std::move(handle), range));
}

struct Write {
  std::uint64_t offset_bytes = 0;
  Bytes data;
  bool durable = false;  ///< O_DSYNC of the file or of this one call
};

/// The write itself; cut at the end of the disk as a device would. Returns the bytes taken.
Task<Result<std::size_t>> carry_out(Handle& handle, Write write) {
  const std::uint64_t size = handle.disk->size_bytes();
  const std::size_t taken = static_cast<std::size_t>(
      std::min<std::uint64_t>(write.data.size(), size - write.offset_bytes));
  handle.unflushed.store(true, std::memory_order_release);
  Payload payload(write.data.part(0, taken));
  auto written = co_await handle.disk->write(write.offset_bytes, std::move(payload));
  if (!written) co_return written.error();
  handle.inode->written();
  if (write.durable) {
    auto flushed = co_await handle.disk->flush();
    if (!flushed) co_return flushed.error();
  }
  co_return taken;
}

Task<void> write_file(Request request, std::shared_ptr<Handle> held, Write write) {
  Handle& handle = request.hold(std::move(held));
  const std::uint64_t end = write.offset_bytes + write.data.size();
  int error_number = 0;
  if (write.offset_bytes >= handle.disk->size_bytes()) {
    error_number = EFBIG;  // growing is ukaictl's
  } else {
    auto taken = co_await carry_out(handle, std::move(write));
    if (taken) {
      request.written(*taken);
      co_return;
    }
    error_number = errno_of(taken.code());
  }
  auto& furthest = handle.failed_write_end_bytes;
  std::uint64_t before = furthest.load(std::memory_order_relaxed);
  while (before < end && !furthest.compare_exchange_weak(before, end)) {
  }
  request.fail(error_number);
}

void on_write(fuse_req_t raw, fuse_ino_t, const char* data, std::size_t size, off_t offset,
              fuse_file_info* info) {
  Mount& mount = mount_of(raw);
  Request request(raw, mount.in_flight);
  auto handle = mount.handles.find(info->fh);
  if (!handle) return request.fail(EBADF);
  Write write;
  write.offset_bytes = static_cast<std::uint64_t>(offset);
  write.data =
      mount.buffers.keep(current_buffer(), {reinterpret_cast<const std::byte*>(data), size});
  write.durable = (info->flags & O_DSYNC) != 0;
  spawn(write_file(std::move(request), std::move(handle), std::move(write)));
}

Task<void> flush_file(Request request, std::shared_ptr<Handle> held) {
  Handle& handle = request.hold(std::move(held));
  const bool unflushed = handle.unflushed.exchange(false, std::memory_order_acq_rel);
  auto flushed = co_await handle.disk->flush();
  if (flushed) {
    request.done();
    co_return;
  }
  if (unflushed) handle.unflushed.store(true, std::memory_order_release);
  request.fail(flushed.error());
}

void on_fsync(fuse_req_t raw, fuse_ino_t, int, fuse_file_info* info) {
  Mount& mount = mount_of(raw);
  Request request(raw, mount.in_flight);
  auto handle = mount.handles.find(info->fh);
  if (!handle) return request.fail(EBADF);
  spawn(flush_file(std::move(request), std::move(handle)));
}

/// close(2) of one descriptor. `qemu-img convert -n` ends with nothing but this, so what was
/// written becomes durable here.
void on_flush(fuse_req_t raw, fuse_ino_t, fuse_file_info* info) {
  Mount& mount = mount_of(raw);
  Request request(raw, mount.in_flight);
  auto handle = mount.handles.find(info->fh);
  if (!handle) return request.fail(EBADF);
  drop_locks_of_owner(mount, *handle->inode, info->lock_owner);
  if (!handle->unflushed.load(std::memory_order_acquire)) return request.done();
  spawn(flush_file(std::move(request), std::move(handle)));
}

}  // namespace

void add_io_operations(fuse_lowlevel_ops& operations) {
  operations.read = on_read;
  operations.write = on_write;
  operations.fsync = on_fsync;
  operations.flush = on_flush;
}

}  // namespace ukai::fuse
