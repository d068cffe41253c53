// SPDX-License-Identifier: BSD-2-Clause
#include "store/open_files.h"

namespace ukai {
namespace {

/// How far from the oldest end a file is looked for that can be closed without a sync.
constexpr int clean_search_max = 64;

bool idle(const BlockFile& file) { return file.users.load(std::memory_order_acquire) == 0; }

}  // namespace

std::size_t OpenFiles::Hash::operator()(const BlockKey& key) const {
  constexpr std::uint64_t odd = 0x9e3779b97f4a7c15;
  std::uint64_t value = std::hash<DiskId>{}(key.disk);
  value = (value ^ raw(key.block)) * odd;
  value = (value ^ (value >> 32) ^ raw(key.generation)) * odd;
  return value ^ (value >> 29);
}

OpenFiles::Use OpenFiles::take(Entry& entry) {
  entry.file->users.fetch_add(1, std::memory_order_relaxed);
  recent_.splice(recent_.begin(), recent_, entry.place);
  return Use(entry.file);
}

OpenFiles::Use OpenFiles::use(const std::shared_ptr<DiskFolder>& disk, BlockKey key) {
  bool full = false;
  auto used = [&] {
    const std::lock_guard lock(mutex_);
    auto [at, added] = entries_.try_emplace(key);
    if (added) {
      recent_.push_front(key);
      at->second = Entry{std::make_shared<BlockFile>(key, disk), recent_.begin()};
      full = entries_.size() > files_max_;
    }
    return take(at->second);
  }();
  if (full) close_one();
  return used;
}

std::optional<OpenFiles::Use> OpenFiles::use_if_open(BlockKey key) {
  const std::lock_guard lock(mutex_);
  const auto at = entries_.find(key);
  if (at == entries_.end()) return std::nullopt;
  return take(at->second);
}

std::shared_ptr<BlockFile> OpenFiles::pick_victim() const {
  std::shared_ptr<BlockFile> oldest;
  int looked = 0;
  for (auto key = recent_.rbegin(); key != recent_.rend(); ++key) {
    const auto& file = entries_.at(*key).file;
    if (!idle(*file)) continue;
    if (!file->unsynced.load()) return file;
    if (!oldest) oldest = file;
    if (++looked >= clean_search_max) break;
  }
  return oldest;
}

void OpenFiles::close_one() {
  std::shared_ptr<BlockFile> victim;
  {
    const std::lock_guard lock(mutex_);
    victim = pick_victim();
    if (!victim) return;
    if (!victim->unsynced.load()) {
      erase_if_idle(*victim);
      return;
    }
  }
  // Not under the mutex: the sync may take long, and the file stays usable meanwhile.
  if (const auto disk = victim->disk.lock()) disk->sync_early(*victim);
  const std::lock_guard lock(mutex_);
  if (!victim->unsynced.load()) erase_if_idle(*victim);
}

void OpenFiles::erase_if_idle(const BlockFile& file) {
  const auto at = entries_.find(file.key);
  if (at == entries_.end() || at->second.file.get() != &file || !idle(file)) return;
  recent_.erase(at->second.place);
  entries_.erase(at);
}

void OpenFiles::drop(DiskId disk) {
  const std::lock_guard lock(mutex_);
  for (auto at = recent_.begin(); at != recent_.end();) {
    if (at->disk != disk) {
      ++at;
      continue;
    }
    entries_.erase(*at);
    at = recent_.erase(at);
  }
}

std::size_t OpenFiles::size() const {
  const std::lock_guard lock(mutex_);
  return entries_.size();
}

}  // namespace ukai
