// SPDX-License-Identifier: BSD-2-Clause
#pragma once

#include <vector>

#include "ctl/context.h"
#include "ctl/map_rows.h"

namespace ukai::ctl {

/// What each missing member of the disk lacks, as the logs of the other members tell it, or as the
/// holder of the disk's lease knows it when it lacks nothing. A node that cannot be asked makes
/// the answer incomplete, which is no error.
Result<Missed> load_missed(Context& context, const pb::DiskRecord& record,
                           const std::vector<NodeInfo>& nodes);

}  // namespace ukai::ctl
