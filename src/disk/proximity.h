// SPDX-License-Identifier: BSD-2-Clause
#pragma once

#include <string_view>

#include "ukai/node_link.h"

namespace ukai {

/// Order of preference among replicas, smaller first: in this process, then by site, then by
/// measured latency.
int rank_of(const NodeDirectory::Entry& node, std::string_view own_site);

}  // namespace ukai
