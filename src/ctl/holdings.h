// SPDX-License-Identifier: BSD-2-Clause
#pragma once

#include <map>
#include <set>
#include <string>
#include <vector>

#include "ctl/context.h"
#include "ctl/rebuild_plan.h"

namespace ukai::ctl {

/// What all running nodes hold of disks that are not in `known`, by the disk's id. Shows on a
/// terminal how far it is. Errors: those of a node that runs and does not answer, which is named;
/// not_found: no node runs.
Result<std::map<std::string, std::vector<NodeHolding>>> load_holdings(
    Context& context, const std::set<std::string>& known);

}  // namespace ukai::ctl
