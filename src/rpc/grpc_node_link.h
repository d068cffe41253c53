// SPDX-License-Identifier: BSD-2-Clause
#pragma once

#include <functional>
#include <memory>
#include <string>

#include "rpc/transport.h"
#include "ukai/node_link.h"

namespace ukai {

struct NodeAddress {
  std::string id;
  std::string data_address;
  std::string control_address;
  bool operator==(const NodeAddress&) const = default;
};

/// A storage node in another process: a data stream for requests, unary calls for the rest. Calls
/// under way when it is destroyed fail with shut_down or unreachable.
/// Threads: safe from any, the destructor too. Transport and scheduler outlive it.
class GrpcNodeLink final : public NodeLink {
 public:
  /// `on_connection` as in DataClientOptions.
  GrpcNodeLink(Transport& transport, Scheduler& scheduler, const NodeAddress& node,
               std::function<void()> on_connection);
  ~GrpcNodeLink() override;

  /// Connects the data stream if that has not begun; submit() does it too.
  void connect();
  /// The node is said to be back: both channels connect without waiting.
  void connect_now();

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
  /// A page of what the node holds; only ukaictl asks.
  Task<Result<pb::HeldReply>> held(pb::HeldRequest request);
  Condition condition() const override;

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace ukai
