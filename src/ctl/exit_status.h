// SPDX-License-Identifier: BSD-2-Clause
#pragma once

#include "ukai/result.h"

namespace ukai::ctl {

/// What ukaictl's exit status tells a script (design.md section 9). The only place where a Code
/// becomes one is exit_status().
enum class ExitStatus : int {
  done = 0,
  failed = 1,
  usage = 2,
  not_found = 3,
  exists = 4,
  busy = 5,
  no_space = 6,
  unreachable = 7,  ///< or timed out
  refused = 8,      ///< for safety
};

ExitStatus exit_status(Code code);

}  // namespace ukai::ctl
