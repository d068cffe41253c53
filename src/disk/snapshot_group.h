// SPDX-License-Identifier: BSD-2-Clause
#pragma once

#include <memory>
#include <vector>

#include "disk/disk.h"

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

}  // namespace ukai
