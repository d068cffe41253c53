// SPDX-License-Identifier: BSD-2-Clause
#pragma once

#include <functional>

#include "ukai/result.h"
#include "ukai/task.h"
#include "ukai_host.pb.h"
#include "ukai_node.pb.h"
#include "ukai_records.pb.h"

namespace ukai::ctl {

/// What ukaictl asks of running daemons; gRPC in the program, a fake in tests.
///
/// Errors: those the daemon answered; unreachable when no answer came within the call's deadline.
/// Threads: safe from any; tasks and progress callbacks run on completion threads.
class DaemonCalls {
 public:
  virtual ~DaemonCalls() = default;

  virtual Task<Result<pb::ChangeDiskReply>> change_disk(pb::HostRecord host,
                                                        pb::ChangeDiskRequest request) = 0;
  virtual Task<Result<pb::YieldLeaseReply>> yield_lease(pb::HostRecord host,
                                                        pb::YieldLeaseRequest request) = 0;
  virtual Task<Result<pb::TakeSnapshotsReply>> take_snapshots(pb::HostRecord host,
                                                              pb::TakeSnapshotsRequest request) = 0;
  virtual Task<Result<pb::CloneDiskReply>> clone_disk(pb::HostRecord host,
                                                      pb::CloneDiskRequest request) = 0;
  using DiffProgress = std::function<bool(const pb::DiffProgress&)>;
  virtual Task<Result<>> diff_disk(pb::HostRecord host, pb::DiffDiskRequest request,
                                   DiffProgress progress) = 0;
  virtual Task<Result<pb::DiskStatusReply>> disk_status(pb::HostRecord host,
                                                        pb::DiskStatusRequest request) = 0;
  virtual Task<Result<pb::HostStatusReply>> host_status(pb::HostRecord host) = 0;
  /// `progress` returns false to stop the work.
  using VerifyProgress = std::function<bool(const pb::VerifyProgress&)>;
  virtual Task<Result<>> verify_disk(pb::HostRecord host, pb::VerifyDiskRequest request,
                                     VerifyProgress progress) = 0;
  using ScrubProgress = std::function<bool(const pb::ScrubProgress&)>;
  virtual Task<Result<>> scrub_disk(pb::HostRecord host, pb::ScrubDiskRequest request,
                                    ScrubProgress progress) = 0;
  /// What the logs of a storage node hold.
  virtual Task<Result<pb::DirtyListReply>> dirty_list(pb::NodeRecord node,
                                                      pb::DirtyListRequest request) = 0;
  /// A page of what a storage node holds.
  virtual Task<Result<pb::HeldReply>> held(pb::NodeRecord node, pb::HeldRequest request) = 0;
  /// What a disk takes on a storage node.
  virtual Task<Result<pb::DiskUsageReply>> disk_usage(pb::NodeRecord node,
                                                      pb::DiskUsageRequest request) = 0;
  /// What a storage node has counted since its start.
  virtual Task<Result<pb::HealthReply>> node_health(pb::NodeRecord node) = 0;
};

}  // namespace ukai::ctl
