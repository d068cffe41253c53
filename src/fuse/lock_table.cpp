// SPDX-License-Identifier: BSD-2-Clause
#include "fuse/lock_table.h"

#include <algorithm>

namespace ukai::fuse {
namespace {

bool overlap(const FileLock& one, const FileLock& other) {
  return one.begin < other.end && other.begin < one.end;
}

}  // namespace

std::optional<FileLock> LockTable::conflict(const FileLock& wanted) const {
  const auto in_the_way = [&](const FileLock& lock) {
    return lock.owner != wanted.owner && overlap(lock, wanted) &&
           (lock.exclusive || wanted.exclusive);
  };
  const auto found = std::find_if(locks_.begin(), locks_.end(), in_the_way);
  if (found == locks_.end()) return std::nullopt;
  return *found;
}

LockTable::Outcome LockTable::set(const FileLock& wanted) {
  if (conflict(wanted)) return Outcome::conflict;
  if (locks_.size() >= locks_max) return Outcome::full;
  unlock(wanted);
  locks_.push_back(wanted);
  return Outcome::done;
}

void LockTable::unlock(const FileLock& range) {
  std::vector<FileLock> left;
  for (const FileLock& lock : locks_) {
    if (lock.owner != range.owner || !overlap(lock, range)) {
      left.push_back(lock);
      continue;
    }
    FileLock before = lock;
    before.end = range.begin;
    if (before.begin < before.end) left.push_back(before);
    FileLock after = lock;
    after.begin = range.end;
    if (after.begin < after.end) left.push_back(after);
  }
  locks_ = std::move(left);
}

void LockTable::drop_owner(std::uint64_t owner) {
  std::erase_if(locks_, [&](const FileLock& lock) { return lock.owner == owner; });
}

void LockTable::drop_handle(std::uint64_t handle) {
  std::erase_if(locks_, [&](const FileLock& lock) { return lock.handle == handle; });
}

std::set<std::uint64_t> LockTable::holders(std::uint64_t byte) const {
  std::set<std::uint64_t> out;
  for (const FileLock& lock : locks_) {
    if (lock.begin <= byte && byte < lock.end) out.insert(lock.handle);
  }
  return out;
}

}  // namespace ukai::fuse
