// SPDX-License-Identifier: BSD-2-Clause
#pragma once

#include <functional>
#include <memory>
#include <string>

#include "rpc/transport.h"
#include "ukai/scheduler.h"
#include "ukai/task.h"
#include "ukai/types.h"
#include "ukai_host.pb.h"

namespace ukai {

/// The control service of one ukaid, for ukaictl and other hosts.
///
/// Errors: those that the host answered; unreachable (no answer within limits::control_deadline, or
/// the connection broke: a change may have been applied). Calls under way when the link is
/// destroyed fail. Threads: safe from any; tasks resume, and progress is reported, on the control
/// completion thread.
class HostLink {
 public:
  /// Of `host` its id and control address are used.
  HostLink(Transport& transport, const pb::HostRecord& host);
  ~HostLink();

  Task<Result<pb::ChangeDiskReply>> change_disk(pb::ChangeDiskRequest request);
  Task<Result<pb::TakeSnapshotsReply>> take_snapshots(pb::TakeSnapshotsRequest request);
  Task<Result<pb::CloneDiskReply>> clone_disk(pb::CloneDiskRequest request);
  Task<Result<pb::YieldLeaseReply>> yield_lease(pb::YieldLeaseRequest request);
  Task<Result<pb::DiskStatusReply>> disk_status(pb::DiskStatusRequest request);
  Task<Result<pb::HostStatusReply>> host_status();
  /// No deadline: these take what they take. `progress` must not block, and returns false to stop
  /// the work; the task then fails with unreachable.
  Task<Result<>> verify_disk(pb::VerifyDiskRequest request,
                             std::function<bool(const pb::VerifyProgress&)> progress);
  Task<Result<>> diff_disk(pb::DiffDiskRequest request,
                           std::function<bool(const pb::DiffProgress&)> progress);
  Task<Result<>> scrub_disk(pb::ScrubDiskRequest request,
                            std::function<bool(const pb::ScrubProgress&)> progress);

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace ukai
