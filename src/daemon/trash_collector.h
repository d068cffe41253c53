// SPDX-License-Identifier: BSD-2-Clause
#pragma once

#include <atomic>
#include <functional>
#include <map>
#include <memory>
#include <set>

#include "base/async.h"
#include "rpc/worker_pool.h"
#include "ukai/catalog.h"
#include "ukai/storage_node.h"

namespace ukai {

/// Does on a node what the registry orders: deletes disks and blocks whose location was taken off.
/// A disk of which no block is left, and whose record names the node no more, loses its logs and
/// its session here as well.
///
/// Everything passed in outlives it. stop() before the pool goes.
class TrashCollector {
 public:
  TrashCollector(NodeId id, Catalog& catalog, Scheduler& scheduler, StorageNode& node,
                 WorkerPool& pool);

  /// Runs until stop().
  Task<void> run();
  void stop();

 private:
  enum class Standing { none, leaving, member, unknown };

  Task<bool> delete_all();
  Task<Result<>> delete_one(Catalog::Trash order);
  Task<bool> lease_is_over(Catalog::Trash order, DiskId disk);
  Task<bool> clear_left();
  Task<Standing> standing_towards(DiskId disk);
  Task<Result<>> on_pool(std::function<Result<>()> work);

  const NodeId id_;
  Catalog& catalog_;
  Scheduler& scheduler_;
  StorageNode& node_;
  WorkerPool& pool_;
  const std::shared_ptr<Notifier> changed_;  ///< shared with the watch, which may end after us
  std::unique_ptr<Coordination::Watch> watch_;
  std::atomic<bool> stopping_ = false;
  // -- by run() alone
  std::map<std::string, TimePoint> waiting_;  ///< orders whose lease is gone, since
  std::set<DiskId> left_;                     ///< disks that have lost all blocks here
};

}  // namespace ukai
