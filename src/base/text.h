// SPDX-License-Identifier: BSD-2-Clause
#pragma once

#include <string>
#include <string_view>

namespace ukai {

/// `text` with everything that would upset a terminal or a log line replaced.
/// Cut after 64 bytes: what somebody else wrote must not fill a log.
std::string printable(std::string_view text);

}  // namespace ukai
