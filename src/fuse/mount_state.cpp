// SPDX-License-Identifier: BSD-2-Clause
#include "fuse/mount_state.h"

#include "base/log.h"

namespace ukai::fuse {
namespace {

void save_locks(Inode& inode, pb::InodeState& out) {
  std::lock_guard lock(inode.locks_mutex);
  for (const FileLock& one : inode.locks.all()) {
    pb::LockState* state = out.add_locks();
    state->set_owner(one.owner);
    state->set_handle(one.handle);
    state->set_pid(one.pid);
    state->set_exclusive(one.exclusive);
    state->set_begin(one.begin);
    state->set_end(one.end);
  }
}

void restore_locks(Inode& inode, const pb::InodeState& state) {
  std::lock_guard lock(inode.locks_mutex);
  for (const pb::LockState& one : state.locks()) {
    FileLock restored;
    restored.owner = one.owner();
    restored.handle = one.handle();
    restored.pid = one.pid();
    restored.exclusive = one.exclusive();
    restored.begin = one.begin();
    restored.end = one.end();
    inode.locks.set(restored);
  }
}

pb::HandleState state_of(std::uint64_t number, const Handle& handle) {
  pb::HandleState out;
  out.set_number(number);
  out.set_inode(handle.inode->number);
  out.set_writable(handle.writable);
  out.set_unflushed(handle.unflushed);
  out.set_failed_write_end(handle.failed_write_end_bytes);
  *out.mutable_open() = handle.disk->state();
  return out;
}

Task<Result<>> restore_handle(Mount& mount, pb::HandleState state) {
  auto disk = co_await mount.disks.resume(state.open());
  if (disk.failed_with(Code::not_found) || disk.failed_with(Code::corrupt)) {
    log::warn("event=handle_lost number={} reason=\"{}\"", state.number(), disk.error().what);
    co_return Unit{};
  }
  if (!disk) co_return disk.error();
  auto handle = std::make_shared<Handle>();
  handle->inode = mount.inodes.find(state.inode());
  if (!handle->inode) co_return Error{Code::invalid, "a handle of no file was handed over"};
  handle->disk = std::move(*disk);
  handle->writable = state.writable();
  handle->unflushed = state.unflushed();
  handle->failed_write_end_bytes = state.failed_write_end();
  handle->inode->set_open(handle->disk);
  mount.handles.restore(state.number(), std::move(handle));
  co_return Unit{};
}

Task<Result<>> flush_one(std::shared_ptr<Handle> handle) {
  handle->unflushed = false;
  auto flushed = co_await handle->disk->flush();
  if (flushed || flushed.failed_with(Code::stale)) co_return Unit{};
  handle->unflushed = true;
  co_return flushed;
}

}  // namespace

void save(const Mount& mount, pb::MountState& out) {
  for (const auto& inode : mount.inodes.all()) {
    pb::InodeState& state = *out.add_inodes();
    inode->save(state);
    state.set_lookups(mount.inodes.lookups(*inode));
    save_locks(*inode, state);
  }
  for (const auto& [number, handle] : mount.handles.all()) {
    *out.add_handles() = state_of(number, *handle);
  }
  for (const auto& [number, folder] : mount.folders.all()) {
    pb::FolderState& state = *out.add_folders();
    state.set_number(number);
    std::lock_guard lock(folder->mutex);
    for (const DiskName& name : folder->names) state.add_names(name.str());
  }
  out.set_last_handle(mount.handles.last());
  out.set_last_folder(mount.folders.last());
}

Task<Result<>> restore(Mount& mount, pb::MountState state) {
  for (const pb::InodeState& inode : state.inodes()) {
    auto restored = mount.inodes.restore(inode);
    if (!restored) co_return restored.error();
    restore_locks(**restored, inode);
  }
  for (const pb::HandleState& handle : state.handles()) {
    auto restored = co_await restore_handle(mount, handle);
    if (!restored) co_return restored;
  }
  for (const pb::FolderState& one : state.folders()) {
    auto folder = std::make_shared<FolderHandle>();
    for (const std::string& name : one.names()) folder->names.emplace_back(name);
    mount.folders.restore(one.number(), std::move(folder));
  }
  mount.handles.used_up_to(state.last_handle());
  mount.folders.used_up_to(state.last_folder());
  co_return Unit{};
}

Task<Result<>> flush_all(const Mount& mount) {
  std::vector<Task<Result<>>> flushes;
  for (const auto& [number, handle] : mount.handles.all()) {
    if (handle->unflushed) flushes.push_back(flush_one(handle));
  }
  const auto flushed = co_await gather(std::move(flushes));
  for (const auto& one : flushed) {
    if (!one) co_return one;
  }
  co_return Unit{};
}

}  // namespace ukai::fuse
