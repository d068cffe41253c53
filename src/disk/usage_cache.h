// SPDX-License-Identifier: BSD-2-Clause
#pragma once

#include <map>
#include <mutex>

#include "ukai/block_store.h"
#include "ukai/catalog.h"
#include "ukai/node_link.h"

namespace ukai {

/// What disks occupy and what the nodes have left, asked of the nodes and kept for a few seconds:
/// stat(2) and statfs(2) want it often and none of it decides anything. Safe from any thread.
class UsageCache {
 public:
  UsageCache(Catalog& catalog, NodeDirectory& nodes, Scheduler& scheduler)
      : catalog_(catalog), nodes_(nodes), scheduler_(scheduler) {}

  /// Bytes allocated for one copy of the disk's data, between 512 and its size; its size when no
  /// node answers.
  Task<std::uint64_t> allocated_bytes(pb::DiskRecord record);
  Task<Result<StoreSpace>> space();

 private:
  struct Known {
    std::uint64_t allocated_bytes = 0;
    TimePoint until{};
  };
  Task<std::uint64_t> ask(pb::DiskRecord record);

  Catalog& catalog_;
  NodeDirectory& nodes_;
  Scheduler& scheduler_;
  std::mutex mutex_;
  std::map<std::string, Known> known_;           // by mutex_
  std::map<std::string, std::uint64_t> copies_;  // by mutex_; replicas of a disk's first block
  StoreSpace space_;                             // by mutex_
  TimePoint space_until_{};                      // by mutex_
};

}  // namespace ukai
