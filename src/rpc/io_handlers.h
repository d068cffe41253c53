// SPDX-License-Identifier: BSD-2-Clause
#pragma once

#include "rpc/io_handler.h"
#include "rpc/worker_pool.h"
#include "ukai/host_disks.h"
#include "ukai/scheduler.h"
#include "ukai/storage_node.h"

namespace ukai {

/// Requests to a storage node: at once when the node can do without its device, else by `pool`.
/// What other nodes read for their copies is done in `background`; of these, some may be dropped
/// with it.
class NodeIoHandler final : public IoHandler {
 public:
  NodeIoHandler(StorageNode& node, WorkerPool& pool, Scheduler& background)
      : node_(node), pool_(pool), background_(background) {}
  std::optional<IoReply> answer_now(const IoRequest& request) override;
  void start(IoRequest request, Done done) override;

 private:
  StorageNode& node_;
  WorkerPool& pool_;
  Scheduler& background_;
};

/// Requests of other hosts' readers.
class HostIoHandler final : public IoHandler {
 public:
  explicit HostIoHandler(HostDisks& disks) : disks_(disks) {}
  std::optional<IoReply> answer_now(const IoRequest& request) override;
  void start(IoRequest request, Done done) override;

 private:
  HostDisks& disks_;
};

/// Sends each request to whom it is for by its operation, so that one port serves both. A part may
/// be absent (nullptr): its operations are refused.
class RoutingIoHandler final : public IoHandler {
 public:
  RoutingIoHandler(IoHandler* node, IoHandler* host) : node_(node), host_(host) {}
  std::optional<IoReply> answer_now(const IoRequest& request) override;
  void start(IoRequest request, Done done) override;

 private:
  IoHandler* route(IoOp op) const;

  IoHandler* node_;
  IoHandler* host_;
};

}  // namespace ukai
