// SPDX-License-Identifier: BSD-2-Clause
#pragma once

#include <functional>
#include <memory>
#include <optional>
#include <string>

#include "ukai/io.h"
#include "ukai/scheduler.h"
#include "ukai/task.h"
#include "ukai_node.pb.h"

namespace ukai {

/// One storage node as its clients see it: sockets and gRPC (src/rpc), a direct call for the node
/// inside ukaid, or the simulator. Sessions are the caller's affair; a link only carries.
///
/// Errors: those the node answered; unreachable when no answer came within the deadline or the
/// connection broke (the request may or may not have been applied: that is what sessions are for).
/// A request is never sent twice. Requests submitted from one thread in order are delivered in
/// order while the connection lasts.
/// Threads: safe from any. `done` runs exactly once, on the reactor or inside submit
/// (node in this process); it must not block.
class NodeLink {
 public:
  using Done = std::function<void(IoReply)>;

  virtual ~NodeLink() = default;
  virtual void submit(IoRequest request, Duration deadline, Done done) = 0;

  virtual Task<Result<pb::FenceReply>> fence(pb::FenceRequest request) = 0;
  virtual Task<Result<pb::DirtyListReply>> dirty_list(pb::DirtyListRequest request) = 0;
  virtual Task<Result<pb::CleanReply>> clean(pb::CleanRequest request) = 0;
  virtual Task<Result<pb::SetMissingReply>> set_missing(pb::SetMissingRequest request) = 0;
  virtual Task<Result<pb::PullReply>> pull(pb::PullRequest request) = 0;
  virtual Task<Result<pb::HashReply>> hash(pb::HashRequest request) = 0;
  virtual Task<Result<pb::CloneReply>> clone(pb::CloneRequest request) = 0;
  virtual Task<Result<pb::DiskUsageReply>> disk_usage(pb::DiskUsageRequest request) = 0;
  virtual Task<Result<pb::HealthReply>> health() = 0;

  /// What is known of the connection, without asking anybody.
  struct Condition {
    bool connected = false;
    Duration latency{};  ///< smoothed round trip of small requests; 0: not measured
    std::string last_error;
    std::uint64_t in_flight = 0;
  };
  virtual Condition condition() const = 0;
};

/// The nodes one daemon talks to: follows the registry, owns the links.
/// Threads: safe from any.
class NodeDirectory {
 public:
  virtual ~NodeDirectory() = default;

  struct Entry {
    std::shared_ptr<NodeLink> link;  ///< shared: a request in flight outlives the node's removal
    std::string site;
    std::string data_address;
    std::string control_address;
    bool alive = false;             ///< it is registered as running
    std::uint64_t incarnation = 0;  ///< of the running process; 0 when not alive
    bool local = false;             ///< runs inside this process
  };
  /// nullopt: no such node is registered.
  virtual std::optional<Entry> find(const NodeId& node) const = 0;

  class Subscription {
   public:
    virtual ~Subscription() = default;
  };
  /// Calls `changed(node)` on a scheduler thread when a node (dis)appears, restarts, moves, or its
  /// connection comes up or breaks. No call starts after the subscription is destroyed.
  virtual std::unique_ptr<Subscription> subscribe(std::function<void(NodeId)> changed) = 0;
};

}  // namespace ukai
