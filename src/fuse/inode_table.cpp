// SPDX-License-Identifier: BSD-2-Clause
#include "fuse/inode_table.h"

#include <ctime>

namespace ukai::fuse {
namespace {

constexpr std::size_t sizes_told_max = 64;  // a disk that grew more often loses the oldest

std::uint64_t number_for(DiskId disk) {
  const std::uint64_t number = std::hash<DiskId>{}(disk) >> 1;  // tools print it signed
  return number <= InodeTable::root_number ? InodeTable::root_number + 1 : number;
}

}  // namespace

FileTime file_time_now() {
  timespec now{};
  clock_gettime(CLOCK_REALTIME_COARSE, &now);
  return FileTime{now.tv_sec} * 1'000'000'000 + now.tv_nsec;
}

DiskName Inode::name() const {
  std::lock_guard lock(mutex_);
  return name_;
}

void Inode::rename(const DiskName& name) {
  std::lock_guard lock(mutex_);
  name_ = name;
}

void Inode::change(const AttributeChange& change) {
  std::lock_guard lock(mutex_);
  if (change.uid) changes_.uid = change.uid;
  if (change.gid) changes_.gid = change.gid;
  if (change.mode) changes_.mode = change.mode;
  if (change.accessed) changes_.accessed = change.accessed;
  if (change.modified) {
    changes_.modified = change.modified;
    written_.store(0, std::memory_order_relaxed);
  }
  changed_.store(file_time_now(), std::memory_order_relaxed);
}

AttributeChange Inode::changes() const {
  std::lock_guard lock(mutex_);
  return changes_;
}

void Inode::set_open(const std::shared_ptr<OpenDisk>& open) {
  std::lock_guard lock(mutex_);
  open_ = open;
}

std::shared_ptr<OpenDisk> Inode::open() const {
  std::lock_guard lock(mutex_);
  return open_.lock();
}

void Inode::told_size(std::uint64_t size_bytes) {
  std::lock_guard lock(mutex_);
  sizes_told_.insert(size_bytes);
  if (sizes_told_.size() > sizes_told_max) sizes_told_.erase(sizes_told_.begin());
}

bool Inode::was_told_size(std::uint64_t size_bytes) const {
  std::lock_guard lock(mutex_);
  return sizes_told_.contains(size_bytes);
}

InodeTable::InodeTable() : root_(std::make_shared<Inode>(root_number, DiskId(), DiskName())) {
  root_->written();  // the folder is as old as the mount
}

std::shared_ptr<Inode> InodeTable::look_up(const DiskAttributes& disk) {
  std::lock_guard lock(mutex_);
  std::uint64_t number = number_for(disk.id);
  while (inodes_.contains(number) && inodes_[number]->disk != disk.id) ++number;
  auto& inode = inodes_[number];
  if (!inode) inode = std::make_shared<Inode>(number, disk.id, disk.name);
  ++inode->lookups_;
  inode->rename(disk.name);
  return inode;
}

void InodeTable::forget(std::uint64_t number, std::uint64_t count) {
  std::lock_guard lock(mutex_);
  const auto found = inodes_.find(number);
  if (found == inodes_.end()) return;
  Inode& inode = *found->second;
  inode.lookups_ -= std::min(inode.lookups_, count);
  // What an operator or libvirt set must still be there when the kernel asks again.
  if (inode.lookups_ == 0 && inode.changes().empty()) inodes_.erase(found);
}

std::shared_ptr<Inode> InodeTable::find(std::uint64_t number) const {
  if (number == root_number) return root_;
  std::lock_guard lock(mutex_);
  const auto found = inodes_.find(number);
  return found == inodes_.end() ? nullptr : found->second;
}

}  // namespace ukai::fuse
