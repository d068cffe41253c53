// SPDX-License-Identifier: BSD-2-Clause
// Locks of fcntl(2). They arrive here, instead of staying in the kernel, because QEMU's lock on one
// byte tells when its guest may write: what a live migration needs to know. flock(2)'s stay there.
#include <cerrno>

#include "fuse/mount.h"

namespace ukai::fuse {
namespace {

/// Changes the locks of a file, and tells the disks of the handles whose hold on QEMU's byte is
/// another one than before. A handle that is gone already needs to hear nothing.
template <class Change>
auto change_locks(Mount& mount, Inode& inode, Change change) {
  std::lock_guard lock(inode.locks_mutex);
  const auto before = inode.locks.holders(qemu_write_byte);
  const auto outcome = change(inode.locks);
  const auto after = inode.locks.holders(qemu_write_byte);
  const auto tell = [&](std::uint64_t number, bool held) {
    if (auto handle = mount.handles.find(number)) handle->disk->note_write_lock(held);
  };
  for (const std::uint64_t number : before) {
    if (!after.contains(number)) tell(number, false);
  }
  for (const std::uint64_t number : after) {
    if (!before.contains(number)) tell(number, true);
  }
  return outcome;
}

FileLock lock_of(const struct flock& asked, const fuse_file_info& info) {
  FileLock lock;
  lock.owner = info.lock_owner;
  lock.handle = info.fh;
  lock.pid = asked.l_pid;
  lock.exclusive = asked.l_type == F_WRLCK;
  lock.begin = static_cast<std::uint64_t>(asked.l_start);
  // libfuse says 0 for what reaches to the end of the file, wherever that is.
  if (asked.l_len > 0) lock.end = lock.begin + static_cast<std::uint64_t>(asked.l_len);
  return lock;
}

void on_getlk(fuse_req_t raw, fuse_ino_t, fuse_file_info* info, struct flock* asked) {
  Mount& mount = mount_of(raw);
  Request request(raw, mount.in_flight);
  const auto handle = mount.handles.find(info->fh);
  if (!handle) return request.fail(EBADF);
  struct flock answer = *asked;
  answer.l_type = F_UNLCK;
  std::lock_guard lock(handle->inode->locks_mutex);
  if (const auto found = handle->inode->locks.conflict(lock_of(*asked, *info))) {
    answer.l_type = found->exclusive ? F_WRLCK : F_RDLCK;
    answer.l_whence = SEEK_SET;
    answer.l_start = static_cast<off_t>(found->begin);
    answer.l_len =
        found->end == FileLock::to_the_end ? 0 : static_cast<off_t>(found->end - found->begin);
    answer.l_pid = found->pid;
  }
  request.lock(answer);
}

/// `wait` (F_SETLKW) is not granted: nobody who uses a disk's file waits for locks, and a request
/// that waits for another process would have to be interruptible.
void on_setlk(fuse_req_t raw, fuse_ino_t, fuse_file_info* info, struct flock* asked, int /*wait*/) {
  Mount& mount = mount_of(raw);
  Request request(raw, mount.in_flight);
  const auto handle = mount.handles.find(info->fh);
  if (!handle) return request.fail(EBADF);
  const FileLock wanted = lock_of(*asked, *info);
  const bool unlock = asked->l_type == F_UNLCK;
  const auto outcome = change_locks(mount, *handle->inode, [&](LockTable& locks) {
    if (!unlock) return locks.set(wanted);
    locks.unlock(wanted);
    return LockTable::Outcome::done;
  });
  switch (outcome) {
    case LockTable::Outcome::done:
      return request.done();
    case LockTable::Outcome::conflict:
      return request.fail(EAGAIN);
    case LockTable::Outcome::full:
      return request.fail(ENOLCK);
  }
}

}  // namespace

void drop_locks_of_owner(Mount& mount, Inode& inode, std::uint64_t owner) {
  change_locks(mount, inode, [&](LockTable& locks) {
    locks.drop_owner(owner);
    return LockTable::Outcome::done;
  });
}

void drop_locks_of_handle(Mount& mount, Inode& inode, std::uint64_t handle) {
  change_locks(mount, inode, [&](LockTable& locks) {
    locks.drop_handle(handle);
    return LockTable::Outcome::done;
  });
}

void add_lock_operations(fuse_lowlevel_ops& operations) {
  operations.getlk = on_getlk;
  operations.setlk = on_setlk;
}

}  // namespace ukai::fuse
