// SPDX-License-Identifier: BSD-2-Clause
#pragma once

#include <string>
#include <vector>

#include "ctl/context.h"

namespace ukai::ctl {

/// Where a host of this cluster may have its disks as files on this machine.
struct LocalMount {
  pb::HostRecord host;
  std::string folder;  ///< absolute, without a link
};

/// What the operator said about the mount to be used; both may be empty.
struct MountWanted {
  std::string host;
  std::string folder;
};

/// The running hosts whose folder has a FUSE file system here, `wanted` only. Whether it is theirs
/// shows at a disk's file: hosts of other machines, or of other clusters, may use the same folder.
/// Errors: not_found (no such host runs), unreachable (none has its mount here).
Result<std::vector<LocalMount>> find_local_mounts(Context& context, const MountWanted& wanted);

/// The one of `mounts` that serves the disk of `record`: its host counts one handle more while we
/// have the file open. unreachable: none does.
Result<LocalMount> mount_of_disk(Context& context, const std::vector<LocalMount>& mounts,
                                 const pb::DiskRecord& record);

}  // namespace ukai::ctl
