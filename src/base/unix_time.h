// SPDX-License-Identifier: BSD-2-Clause
#pragma once

#include <cstdint>

namespace ukai {

/// Wall clock, in seconds since 1970. For display only: nothing is decided by it.
std::uint64_t unix_now_s();

}  // namespace ukai
