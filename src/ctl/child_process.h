// SPDX-License-Identifier: BSD-2-Clause
#pragma once

#include <functional>
#include <string>
#include <string_view>
#include <vector>

#include "ukai/result.h"

namespace ukai::ctl {

/// What a program said, and how it ended.
struct ChildEnd {
  int status = 0;  ///< its exit status; 128 + N: signal N ended it
  std::string out;
  std::string err;
};

struct ChildWatch {
  /// Each piece of its stdout as it comes; unset: nobody cares.
  std::function<void(std::string_view)> said{};
  /// Asked several times a second; true ends the program.
  std::function<bool()> stop{};
};

/// Runs `argv` without a shell, the program found in PATH, in the C locale and without stdin.
/// Blocks until it has ended.
/// Errors: not_found (there is no such program), io (also when `stop` ended it).
Result<ChildEnd> run_child(const std::vector<std::string>& argv, const ChildWatch& watch);

}  // namespace ukai::ctl
