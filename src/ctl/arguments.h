// SPDX-License-Identifier: BSD-2-Clause
#pragma once

#include <functional>
#include <string>
#include <vector>

#include "ctl/commands.h"
#include "ctl/settings.h"

namespace ukai::ctl {

/// From what was typed to the command that does it.
struct Arguments {
  Globals globals;
  std::function<Result<>(Context&)> action;
  bool needs_metadata = true;
  std::string help;  ///< when it was asked for: the text, and there is no action
};

/// `args` without the program's name. invalid: one line that says where to read on.
Result<Arguments> parse_arguments(const std::vector<std::string>& args);

/// Every command as it is typed ("disk create", "sync", "touch"), sorted.
std::vector<std::string> command_names();

}  // namespace ukai::ctl
