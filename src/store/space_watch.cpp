// SPDX-License-Identifier: BSD-2-Clause
#include "store/space_watch.h"

#include <sys/statvfs.h>

#include <algorithm>
#include <cerrno>

#include "store/posix_file.h"

namespace ukai {
namespace {

constexpr std::uint64_t space_look_bytes = 64ULL << 20;  // the reserve is several times that
constexpr auto space_look_interval = std::chrono::milliseconds(200);

}  // namespace

Result<StoreSpace> SpaceWatch::look() const {
  struct statvfs status {};
  if (::fstatvfs(root_.fd.get(), &status) != 0)
    return posix_error(errno, "cannot look at the file system of " + root_.path);
  const std::uint64_t free = std::uint64_t{status.f_bavail} * status.f_frsize;
  return StoreSpace{std::uint64_t{status.f_blocks} * status.f_frsize,
                    free > reserve_bytes_ ? free - reserve_bytes_ : 0};
}

Result<bool> SpaceWatch::fits(std::uint64_t bytes) {
  const std::lock_guard lock(mutex_);
  const auto now = std::chrono::steady_clock::now();
  if (!known_ || left_bytes_ < bytes || now - looked_ > space_look_interval) {
    auto space = look();
    if (!space.ok()) return space.error();
    known_ = true;
    looked_ = now;
    left_bytes_ = std::min(space->free_bytes, std::max(bytes, space_look_bytes));
  }
  if (left_bytes_ < bytes) return false;
  left_bytes_ -= bytes;
  return true;
}

}  // namespace ukai
