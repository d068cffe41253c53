// SPDX-License-Identifier: BSD-2-Clause
#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <vector>

#include "ctl/context.h"

namespace ukai::ctl {

/// What a disk with its snapshots takes on nodes' file systems.
struct SpaceUsed {
  std::uint64_t used_bytes = 0;
  std::uint64_t shared_bytes = 0;  ///< of these: other disks (clones) have them as well
  /// What would be free again if the disk and its snapshots went.
  std::uint64_t exclusive_bytes() const { return used_bytes - shared_bytes; }
};

/// By node; those that did not answer are left out.
using DiskUsage = std::map<std::string, SpaceUsed>;
SpaceUsed sum_of(const DiskUsage& usage);

/// Asks all running members of the disk at once.
DiskUsage load_usage(Context& context, const pb::DiskRecord& record,
                     const std::vector<NodeInfo>& nodes);

}  // namespace ukai::ctl
