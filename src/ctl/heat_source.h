// SPDX-License-Identifier: BSD-2-Clause
#pragma once

#include <string>
#include <vector>

#include "ctl/context.h"
#include "ctl/heat.h"

namespace ukai::ctl {

/// What all hosts have counted of the disk since they have had it; those that do not answer too.
Result<std::vector<HostHeat>> ask_heats(Context& context, const std::string& disk_id);

}  // namespace ukai::ctl
