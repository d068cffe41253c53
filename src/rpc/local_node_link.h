// SPDX-License-Identifier: BSD-2-Clause
#pragma once

#include <memory>

#include "rpc/worker_pool.h"
#include "ukai/node_link.h"
#include "ukai/storage_node.h"

namespace ukai {

/// The storage node inside this process: requests are function calls, on the caller's thread when
/// the node can do without its device, else on `pool`. Deadlines hold as they do for other nodes: a
/// device that hangs must not take the guest with it.
/// Threads: safe from any. All that is passed in outlives the link and what it has in flight.
class LocalNodeLink final : public NodeLink {
 public:
  LocalNodeLink(StorageNode& node, WorkerPool& pool, Scheduler& scheduler);

  void submit(IoRequest request, Duration deadline, Done done) override;
  Task<Result<pb::FenceReply>> fence(pb::FenceRequest request) override;
  Task<Result<pb::DirtyListReply>> dirty_list(pb::DirtyListRequest request) override;
  Task<Result<pb::CleanReply>> clean(pb::CleanRequest request) override;
  Task<Result<pb::SetMissingReply>> set_missing(pb::SetMissingRequest request) override;
  Task<Result<pb::PullReply>> pull(pb::PullRequest request) override;
  Task<Result<pb::HashReply>> hash(pb::HashRequest request) override;
  Task<Result<pb::CloneReply>> clone(pb::CloneRequest request) override;
  Task<Result<pb::DiskUsageReply>> disk_usage(pb::DiskUsageRequest request) override;
  Task<Result<pb::HealthReply>> health() override;
  Condition condition() const override;

 private:
  class Waiting;
  class OnPool;
  OnPool on_pool();

  StorageNode& node_;
  WorkerPool& pool_;
  std::shared_ptr<Waiting> waiting_;  // shared with the work on the pool and the timer
};

}  // namespace ukai
