// SPDX-License-Identifier: BSD-2-Clause
#pragma once

#include <functional>
#include <memory>
#include <vector>

#include "disk/disk.h"
#include "ukai/history.h"

namespace ukai {

/// Snapshots of several disks, all held here, at one instant: `disks[i]` is what request names in
/// place i. The guests' changes wait for limits::snapshot_hold at most; if those under way do not
/// end within it, they go on, and another moment is chosen. Errors: busy (no such moment came), as
/// Snapshots'; some disks may have their snapshot then.
Task<Result<pb::TakeSnapshotsReply>> take_snapshots(Scheduler& scheduler,
                                                    std::vector<std::shared_ptr<Disk>> disks,
                                                    pb::TakeSnapshotsRequest request);

/// A new disk of a snapshot, or of the disk as it is at one instant.
Task<Result<pb::DiskRecord>> clone_disk(Scheduler& scheduler, std::shared_ptr<Disk> disk,
                                        pb::CloneDiskRequest request);

/// What differs between two states, as HostDisks::diff_disk.
Task<Result<>> diff_states(std::shared_ptr<Disk> disk, pb::DiffDiskRequest request,
                           std::function<bool(const pb::DiffProgress&)> progress);

/// "NAME@SNAPSHOT" of all disks whose records are sound.
Task<Result<std::vector<DiskName>>> snapshot_names(Catalog& catalog);

Error no_snapshot(const SnapshotName& name);

}  // namespace ukai
