// SPDX-License-Identifier: BSD-2-Clause
#pragma once

#include <chrono>
#include <cstdint>
#include <mutex>

#include "store/store_folder.h"
#include "ukai/block_store.h"

namespace ukai {

/// The free space of the file system, looked at again every 64 MiB written or 200 ms, so that a
/// write costs no system call for it. Threads: safe from any.
class SpaceWatch {
 public:
  SpaceWatch(const Folder& root, std::uint64_t reserve_bytes)
      : root_(root), reserve_bytes_(reserve_bytes) {}

  /// After the reserve.
  Result<StoreSpace> look() const;
  /// True when `bytes` more fit without touching the reserve.
  Result<bool> fits(std::uint64_t bytes);

 private:
  const Folder& root_;
  const std::uint64_t reserve_bytes_;
  std::mutex mutex_;
  std::uint64_t left_bytes_ = 0;                  // by mutex_: before the next look
  bool known_ = false;                            // by mutex_
  std::chrono::steady_clock::time_point looked_;  // by mutex_
};

}  // namespace ukai
