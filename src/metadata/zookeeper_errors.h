// SPDX-License-Identifier: BSD-2-Clause
#pragma once

#include <string_view>

#include "ukai/result.h"

namespace ukai::zk {

/// The one place where the C client's return codes become Errors. `change`: the request would have
/// changed something, so that a lost answer means `unknown` instead of `unreachable`.
Error to_error(int rc, std::string_view path, bool change);

/// The request surely had no effect, or none that matters, and may be sent again on a live session.
bool worth_repeating(int rc);

}  // namespace ukai::zk
