// SPDX-License-Identifier: BSD-2-Clause
#pragma once

#include <sys/types.h>

#include <cstddef>
#include <cstdint>
#include <limits>
#include <optional>
#include <set>
#include <vector>

namespace ukai::fuse {

/// The byte QEMU locks, shared, in an image that it may write to ("consistent write").
inline constexpr std::uint64_t qemu_write_byte = 101;

/// One lock of fcntl(2) on bytes [begin, end) of a file.
struct FileLock {
  static constexpr std::uint64_t to_the_end = std::numeric_limits<std::uint64_t>::max();

  std::uint64_t owner = 0;   ///< the kernel's: an open file (OFD locks) or a process
  std::uint64_t handle = 0;  ///< it was set through
  pid_t pid = 0;
  bool exclusive = false;
  std::uint64_t begin = 0;
  std::uint64_t end = to_the_end;
};

/// The locks on one file of one mount, as the kernel would keep them: those of one owner never
/// conflict, and a new one replaces what it covers of his old ones. Other mounts do not see them:
/// between hosts it is the lease that keeps two writers apart.
///
/// Pure. Bound: locks_max on a file; QEMU has five.
class LockTable {
 public:
  static constexpr std::size_t locks_max = 1024;

  enum class Outcome { done, conflict, full };

  /// Somebody else's lock that stands in the way of `wanted`.
  std::optional<FileLock> conflict(const FileLock& wanted) const;
  /// Never waits.
  Outcome set(const FileLock& wanted);
  /// Of its owner, in its range; its handle does not matter.
  void unlock(const FileLock& range);
  void drop_owner(std::uint64_t owner);
  void drop_handle(std::uint64_t handle);

  /// Handles through which a lock on this byte is held.
  std::set<std::uint64_t> holders(std::uint64_t byte) const;
  std::size_t count() const { return locks_.size(); }
  const std::vector<FileLock>& all() const { return locks_; }

 private:
  std::vector<FileLock> locks_;
};

}  // namespace ukai::fuse
