// SPDX-License-Identifier: BSD-2-Clause
#pragma once

#include <optional>
#include <string>
#include <string_view>

namespace ukai::ctl {

/// RFC 4648, with padding.
std::string to_base64(std::string_view bytes);
/// Nothing when `text` is not what to_base64() makes.
std::optional<std::string> from_base64(std::string_view text);

}  // namespace ukai::ctl
