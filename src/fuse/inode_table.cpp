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

void Inode::save(pb::InodeState& out) const {
  std::lock_guard lock(mutex_);
  out.set_number(number);
  out.set_disk_id(disk.to_string());
  out.set_name(name_.str());
  if (changes_.uid) out.set_uid(*changes_.uid);
  if (changes_.gid) out.set_gid(*changes_.gid);
  if (changes_.mode) out.set_mode(*changes_.mode);
  if (changes_.accessed) out.set_accessed(*changes_.accessed);
  if (changes_.modified) out.set_modified(*changes_.modified);
  out.set_changed(changed_);
  out.set_written(written_);
  for (const std::uint64_t size : sizes_told_) out.add_sizes_told(size);
}

void Inode::restore(const pb::InodeState& state) {
  std::lock_guard lock(mutex_);
  if (state.has_uid()) changes_.uid = state.uid();
  if (state.has_gid()) changes_.gid = state.gid();
  if (state.has_mode()) changes_.mode = state.mode();
  if (state.has_accessed()) changes_.accessed = state.accessed();
  if (state.has_modified()) changes_.modified = state.modified();
  changed_ = state.changed();
  written_ = state.written();
  sizes_told_ = {state.sizes_told().begin(), state.sizes_told().end()};
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

std::vector<std::shared_ptr<Inode>> InodeTable::all() const {
  std::lock_guard lock(mutex_);
  std::vector<std::shared_ptr<Inode>> out{root_};
  for (const auto& [number, inode] : inodes_) out.push_back(inode);
  return out;
}

std::uint64_t InodeTable::lookups(const Inode& inode) const {
  std::lock_guard lock(mutex_);
  return inode.lookups_;
}

Result<std::shared_ptr<Inode>> InodeTable::restore(const pb::InodeState& state) {
  if (state.number() == root_number) {
    root_->restore(state);
    return root_;
  }
  auto disk = DiskId::parse(state.disk_id());
  if (!disk) return disk.error();
  std::lock_guard lock(mutex_);
  auto& inode = inodes_[state.number()];
  if (inode) return Error{Code::invalid, "an inode was handed over twice"};
  inode = std::make_shared<Inode>(state.number(), *disk, DiskName(state.name()));
  inode->restore(state);
  inode->lookups_ = state.lookups();
  return inode;
}

}  // namespace ukai::fuse
