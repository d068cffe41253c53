// SPDX-License-Identifier: BSD-2-Clause
#pragma once

#include <string>
#include <vector>

#include "ctl/disk_access.h"
#include "ukai/types.h"

namespace ukai::ctl {

/// "A-B", "A" or "" (all) as blocks of the disk.
Result<BlockRange> blocks_typed(const std::string& typed, const pb::DiskRecord& record);

/// not_found: a node is not registered. refused: one does not run, or is being drained.
Result<> check_targets(Context& context, const std::vector<std::string>& nodes);

enum class Locations { add, remove };
/// Gives blocks locations on `nodes`, or takes them off: through the host that holds the disk's
/// lease, or under a lease of our own. `where`: only blocks that have one there; empty: all.
/// Nothing is changed when it is so already.
Result<Changed> change_locations(Context& context, const pb::DiskRecord& record, Locations what,
                                 const std::vector<std::string>& nodes, BlockRange blocks,
                                 const std::string& where = "");

}  // namespace ukai::ctl
