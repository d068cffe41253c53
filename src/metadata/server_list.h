// SPDX-License-Identifier: BSD-2-Clause
#pragma once

#include <string>

#include "ukai/result.h"

namespace ukai::zk {

/// What to hand to the C client for "zk1:2181,zk2:2181": the same, made to resolve to an odd number
/// of addresses by naming one of them twice if need be.
///
/// Why: after a failed attempt the C client (3.8.0) moves on in its list of addresses twice. With
/// an even number it would only ever try every other one, without a pause, and never find the
/// server that is up ("localhost" is two addresses already). An odd number it visits in full.
///
/// Resolves host names, so it may block. unreachable: none of them resolves; the message says
/// which.
Result<std::string> odd_server_list(const std::string& servers);

}  // namespace ukai::zk
