// SPDX-License-Identifier: BSD-2-Clause
#include "ctl/grpc_daemon_calls.h"

#include <fmt/format.h>

#include <algorithm>
#include <chrono>
#include <mutex>
#include <optional>
#include <utility>

#include "base/async.h"
#include "rpc/channels.h"
#include "rpc/grpc_node_link.h"
#include "rpc/host_link.h"

namespace ukai::ctl {
namespace {

constexpr Duration usage_patience = std::chrono::seconds(2);

class GrpcDaemonCalls final : public DaemonCalls {
 public:
  GrpcDaemonCalls(Scheduler& scheduler, Duration timeout)
      : scheduler_(scheduler), timeout_(timeout) {}

  Task<Result<pb::ChangeDiskReply>> change_disk(pb::HostRecord host,
                                                pb::ChangeDiskRequest request) override {
    HostLink link(transport(), host);
    auto reply = co_await bounded(link.change_disk(std::move(request)));
    co_return reply;
  }

  Task<Result<pb::YieldLeaseReply>> yield_lease(pb::HostRecord host,
                                                pb::YieldLeaseRequest request) override {
    HostLink link(transport(), host);
    auto reply = co_await bounded(link.yield_lease(std::move(request)));
    co_return reply;
  }

  /// They take as long as nodes need, within the call's own deadline.
  Task<Result<pb::TakeSnapshotsReply>> take_snapshots(pb::HostRecord host,
                                                      pb::TakeSnapshotsRequest request) override {
    HostLink link(transport(), host);
    auto reply = co_await link.take_snapshots(std::move(request));
    co_return reply;
  }

  Task<Result<pb::CloneDiskReply>> clone_disk(pb::HostRecord host,
                                              pb::CloneDiskRequest request) override {
    HostLink link(transport(), host);
    auto reply = co_await link.clone_disk(std::move(request));
    co_return reply;
  }

  Task<Result<>> diff_disk(pb::HostRecord host, pb::DiffDiskRequest request,
                           DiffProgress progress) override {
    HostLink link(transport(), host);
    auto done = co_await link.diff_disk(std::move(request), std::move(progress));
    co_return done;
  }

  Task<Result<pb::DiskStatusReply>> disk_status(pb::HostRecord host,
                                                pb::DiskStatusRequest request) override {
    HostLink link(transport(), host);
    auto reply = co_await bounded(link.disk_status(std::move(request)));
    co_return reply;
  }

  Task<Result<pb::HostStatusReply>> host_status(pb::HostRecord host) override {
    HostLink link(transport(), host);
    auto reply = co_await bounded(link.host_status());
    co_return reply;
  }

  Task<Result<>> verify_disk(pb::HostRecord host, pb::VerifyDiskRequest request,
                             VerifyProgress progress) override {
    HostLink link(transport(), host);
    auto done = co_await link.verify_disk(std::move(request), std::move(progress));
    co_return done;
  }

  Task<Result<>> scrub_disk(pb::HostRecord host, pb::ScrubDiskRequest request,
                            ScrubProgress progress) override {
    HostLink link(transport(), host);
    auto done = co_await link.scrub_disk(std::move(request), std::move(progress));
    co_return done;
  }

  Task<Result<pb::DirtyListReply>> dirty_list(pb::NodeRecord node,
                                              pb::DirtyListRequest request) override {
    const NodeAddress address{node.id(), node.data_address(), node.control_address()};
    GrpcNodeLink link(transport(), scheduler_, address, [] {});
    auto reply = co_await bounded(link.dirty_list(std::move(request)));
    co_return reply;
  }

  Task<Result<pb::HeldReply>> held(pb::NodeRecord node, pb::HeldRequest request) override {
    const NodeAddress address{node.id(), node.data_address(), node.control_address()};
    GrpcNodeLink link(transport(), scheduler_, address, [] {});
    auto reply = co_await bounded(link.held(std::move(request)));
    co_return reply;
  }

  Task<Result<pb::DiskUsageReply>> disk_usage(pb::NodeRecord node,
                                              pb::DiskUsageRequest request) override {
    const NodeAddress address{node.id(), node.data_address(), node.control_address()};
    GrpcNodeLink link(transport(), scheduler_, address, [] {});
    // It is only shown: a node that is frozen is not waited for as long as for other answers.
    const Result<pb::DiskUsageReply> late = Error{Code::unreachable, "no answer"};
    auto reply = co_await within(scheduler_, std::min(timeout_, usage_patience),
                                 link.disk_usage(std::move(request)), late);
    co_return reply;
  }

  Task<Result<pb::HealthReply>> node_health(pb::NodeRecord node) override {
    const NodeAddress address{node.id(), node.data_address(), node.control_address()};
    GrpcNodeLink link(transport(), scheduler_, address, [] {});
    auto reply = co_await bounded(link.health());
    co_return reply;
  }

 private:
  /// The reply, or unreachable after our time; the link's end then ends the call.
  template <class Reply>
  Task<Result<Reply>> bounded(Task<Result<Reply>> call) {
    const auto seconds = std::chrono::duration<double>(timeout_).count();
    Result<Reply> late = Error{Code::unreachable, fmt::format("no answer in {} s", seconds)};
    co_return co_await within(scheduler_, timeout_, std::move(call), std::move(late));
  }

  Transport& transport() {
    std::lock_guard lock(mutex_);
    if (!transport_) {
      prepare_grpc();
      transport_.emplace();
    }
    return *transport_;
  }

  Scheduler& scheduler_;
  const Duration timeout_;
  std::mutex mutex_;
  std::optional<Transport> transport_;  // by mutex_
};

}  // namespace

std::unique_ptr<DaemonCalls> make_grpc_daemon_calls(Scheduler& scheduler, Duration timeout) {
  return std::make_unique<GrpcDaemonCalls>(scheduler, timeout);
}

}  // namespace ukai::ctl
