// SPDX-License-Identifier: BSD-2-Clause
#pragma once

#include <string_view>

#include "ukai/node_link.h"

namespace ukai {

/// How many leading components two sites share: ("jp/tokyo/dc1", "jp/tokyo/dc2") -> 2.
int common_site_depth(std::string_view a, std::string_view b);

/// Order of preference among replicas, smaller first: in this process, then by site, then by
/// measured latency.
int rank_of(const NodeDirectory::Entry& node, std::string_view own_site);

}  // namespace ukai
