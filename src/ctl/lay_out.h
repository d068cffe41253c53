// SPDX-License-Identifier: BSD-2-Clause
#pragma once

#include <vector>

#include "ctl/context.h"
#include "ctl/dump.h"

namespace ukai::ctl {

/// Makes the tree of an empty chroot from these records, in one transaction where it fits. Shows on
/// a terminal how far it is. Errors: refused (names, disks or nodes are there already; nothing is
/// changed).
Result<> lay_out(Context& context, std::vector<DumpRecord> records);

}  // namespace ukai::ctl
