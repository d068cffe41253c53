// SPDX-License-Identifier: BSD-2-Clause
#include "rpc/host_link.h"

#include "rpc/control_channel.h"
#include "ukai/limits.h"
#include "ukai_host.grpc.pb.h"

namespace ukai {

using HostStub = pb::HostControl::Stub;

struct HostLink::Impl {
  ControlChannel<pb::HostControl> control;
};

HostLink::HostLink(Transport& transport, const pb::HostRecord& host)
    : impl_(new Impl{
          {transport, ControlPeer{host.control_address(), host_identity(host.id()), host.id()}}}) {}

HostLink::~HostLink() = default;

Task<Result<pb::ChangeDiskReply>> HostLink::change_disk(pb::ChangeDiskRequest request) {
  return impl_->control.call(&HostStub::PrepareAsyncChangeDisk, std::move(request),
                             limits::control_deadline);
}

Task<Result<pb::TakeSnapshotsReply>> HostLink::take_snapshots(pb::TakeSnapshotsRequest request) {
  return impl_->control.call(&HostStub::PrepareAsyncTakeSnapshots, std::move(request),
                             limits::copy_deadline);
}

Task<Result<pb::CloneDiskReply>> HostLink::clone_disk(pb::CloneDiskRequest request) {
  return impl_->control.call(&HostStub::PrepareAsyncCloneDisk, std::move(request),
                             limits::copy_deadline);
}

Task<Result<>> HostLink::diff_disk(pb::DiffDiskRequest request,
                                   std::function<bool(const pb::DiffProgress&)> progress) {
  return impl_->control.listen(&HostStub::PrepareAsyncDiffDisk, std::move(request),
                               std::move(progress));
}

Task<Result<pb::YieldLeaseReply>> HostLink::yield_lease(pb::YieldLeaseRequest request) {
  return impl_->control.call(&HostStub::PrepareAsyncYieldLease, std::move(request),
                             limits::control_deadline);
}

Task<Result<pb::DiskStatusReply>> HostLink::disk_status(pb::DiskStatusRequest request) {
  return impl_->control.call(&HostStub::PrepareAsyncDiskStatus, std::move(request),
                             limits::control_deadline);
}

Task<Result<pb::HostStatusReply>> HostLink::host_status() {
  return impl_->control.call(&HostStub::PrepareAsyncHostStatus, pb::HostStatusRequest(),
                             limits::control_deadline);
}

Task<Result<>> HostLink::verify_disk(pb::VerifyDiskRequest request,
                                     std::function<bool(const pb::VerifyProgress&)> progress) {
  return impl_->control.listen(&HostStub::PrepareAsyncVerifyDisk, std::move(request),
                               std::move(progress));
}

Task<Result<>> HostLink::scrub_disk(pb::ScrubDiskRequest request,
                                    std::function<bool(const pb::ScrubProgress&)> progress) {
  return impl_->control.listen(&HostStub::PrepareAsyncScrubDisk, std::move(request),
                               std::move(progress));
}

}  // namespace ukai
