// SPDX-License-Identifier: BSD-2-Clause
#pragma once

#include <string_view>

namespace ukai {

/// Of this source tree; shown by --version, logs and status. Kept equal to the project() version
/// in CMakeLists.txt.
inline constexpr std::string_view version_string = "0.1.0";

}  // namespace ukai
