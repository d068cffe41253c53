// SPDX-License-Identifier: BSD-2-Clause
#pragma once

#include <string>
#include <vector>

#include "ctl/environment.h"

namespace ukai::ctl {

/// What a shell reports of a program that Ctrl-C ended.
inline constexpr int interrupted_status = 130;

/// All of ukaictl: runs the command that `args` (without the program's name) ask for and returns
/// the exit status. What was asked for goes to environment.out; a failure is one line on
/// environment.err and nothing else.
int run(const std::vector<std::string>& args, Environment& environment);

}  // namespace ukai::ctl
