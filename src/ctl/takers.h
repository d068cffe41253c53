// SPDX-License-Identifier: BSD-2-Clause
#pragma once

#include <functional>
#include <vector>

#include "ukai/catalog.h"

namespace ukai::ctl {

bool is_draining(const NodeInfo& node);
/// Less than a tenth of its space would be free with `more_bytes` on it; false if it is down or its
/// space is not known.
bool is_nearly_full(const NodeInfo& node, std::uint64_t more_bytes = 0);

/// The node with the most free space among those that would take `bytes`: up, not being drained,
/// not nearly full with them, and `fits`. Null if there is none.
const NodeInfo* roomiest(const std::vector<NodeInfo>& nodes, std::uint64_t bytes,
                         const std::function<bool(const NodeInfo&)>& fits);

}  // namespace ukai::ctl
