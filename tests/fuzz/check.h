// SPDX-License-Identifier: BSD-2-Clause
#pragma once

#include <cstdio>
#include <cstdlib>
#include <string_view>

namespace ukai::fuzz {

/// A property that every input must have; libFuzzer keeps the input that has it not.
inline void check(bool holds, std::string_view property) {
  if (holds) return;
  std::fprintf(stderr, "broken: %.*s\n", static_cast<int>(property.size()), property.data());
  std::abort();
}

/// Errors are one line for a person.
inline void check_line(std::string_view what) {
  if (what.empty() || what.find('\n') != std::string_view::npos) {
    std::fprintf(stderr, "the error: %.*s\n", static_cast<int>(what.size()), what.data());
    check(false, "an error is one line");
  }
}

}  // namespace ukai::fuzz
