// SPDX-License-Identifier: BSD-2-Clause
#include "rpc/grpc_node_link.h"

#include "rpc/control_channel.h"
#include "rpc/data_client.h"
#include "ukai/limits.h"
#include "ukai_node.grpc.pb.h"

namespace ukai {

using NodeStub = pb::NodeControl::Stub;

struct GrpcNodeLink::Impl {
  Impl(Transport& transport, Scheduler& scheduler, const NodeAddress& node,
       std::function<void()> on_connection)
      : data(transport, scheduler,
             DataClientOptions{node.data_address, node_identity(node.id), node.id,
                               std::move(on_connection)}),
        control(transport, ControlPeer{node.control_address, node_identity(node.id), node.id}) {}

  DataClient data;
  ControlChannel<pb::NodeControl> control;
};

GrpcNodeLink::GrpcNodeLink(Transport& transport, Scheduler& scheduler, const NodeAddress& node,
                           std::function<void()> on_connection)
    : impl_(std::make_unique<Impl>(transport, scheduler, node, std::move(on_connection))) {}

GrpcNodeLink::~GrpcNodeLink() = default;

void GrpcNodeLink::connect() { impl_->data.connect(); }

void GrpcNodeLink::connect_now() {
  impl_->data.connect_now();
  impl_->control.connect_now();
}

void GrpcNodeLink::submit(IoRequest request, Duration deadline, Done done) {
  impl_->data.submit(std::move(request), deadline, std::move(done));
}

Task<Result<pb::FenceReply>> GrpcNodeLink::fence(pb::FenceRequest request) {
  return impl_->control.call(&NodeStub::PrepareAsyncFence, std::move(request),
                             limits::control_deadline);
}

Task<Result<pb::DirtyListReply>> GrpcNodeLink::dirty_list(pb::DirtyListRequest request) {
  return impl_->control.call(&NodeStub::PrepareAsyncDirtyList, std::move(request),
                             limits::control_deadline);
}

Task<Result<pb::CleanReply>> GrpcNodeLink::clean(pb::CleanRequest request) {
  return impl_->control.call(&NodeStub::PrepareAsyncClean, std::move(request),
                             limits::control_deadline);
}

Task<Result<pb::SetMissingReply>> GrpcNodeLink::set_missing(pb::SetMissingRequest request) {
  return impl_->control.call(&NodeStub::PrepareAsyncSetMissing, std::move(request),
                             limits::control_deadline);
}

Task<Result<pb::PullReply>> GrpcNodeLink::pull(pb::PullRequest request) {
  Duration deadline = limits::copy_deadline;
  if (const auto rate = request.rate_bytes_per_s(); rate > 0) {
    deadline += std::chrono::seconds(request.length() / rate);
  }
  return impl_->control.call(&NodeStub::PrepareAsyncPull, std::move(request), deadline);
}

Task<Result<pb::HashReply>> GrpcNodeLink::hash(pb::HashRequest request) {
  return impl_->control.call(&NodeStub::PrepareAsyncHash, std::move(request),
                             limits::copy_deadline);
}

Task<Result<pb::CloneReply>> GrpcNodeLink::clone(pb::CloneRequest request) {
  return impl_->control.call(&NodeStub::PrepareAsyncClone, std::move(request),
                             limits::copy_deadline);
}

Task<Result<pb::DiskUsageReply>> GrpcNodeLink::disk_usage(pb::DiskUsageRequest request) {
  return impl_->control.call(&NodeStub::PrepareAsyncDiskUsage, std::move(request),
                             limits::control_deadline);
}

Task<Result<pb::HealthReply>> GrpcNodeLink::health() {
  return impl_->control.call(&NodeStub::PrepareAsyncHealth, pb::HealthRequest(),
                             limits::control_deadline);
}

Task<Result<pb::HeldReply>> GrpcNodeLink::held(pb::HeldRequest request) {
  return impl_->control.call(&NodeStub::PrepareAsyncHeld, std::move(request),
                             limits::control_deadline);
}

NodeLink::Condition GrpcNodeLink::condition() const { return impl_->data.condition(); }

}  // namespace ukai
