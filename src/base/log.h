// SPDX-License-Identifier: BSD-2-Clause
#pragma once

#include <fmt/format.h>

#include <string>
#include <string_view>

#include "ukai/result.h"

/// The log: one line an event, `event=… key=value …`. Level by who must act: error, a person; warn,
/// the system has already acted; info, life cycle; debug, for us. The data path logs nothing per
/// request.
///
/// Threads: safe from any.
namespace ukai::log {

enum class Level { debug, info, warn, error };

struct Options {
  Level level = Level::info;
  std::string file;  ///< empty: standard error
};

/// "debug", "info", "warn" or "error"; invalid otherwise.
Result<Level> parse_level(std::string_view text);

/// Replaces where the log goes. invalid: the file cannot be written (the message says why).
/// Before the first call, info and above go to standard error.
Result<> open(const Options& options);

bool enabled(Level level);
/// Writes one line; control characters in `line` are replaced.
void write(Level level, std::string_view line);

template <class... Args>
void debug(fmt::format_string<Args...> format, Args&&... args) {
  if (enabled(Level::debug)) {
    write(Level::debug, fmt::format(format, std::forward<Args>(args)...));
  }
}
template <class... Args>
void info(fmt::format_string<Args...> format, Args&&... args) {
  if (enabled(Level::info)) write(Level::info, fmt::format(format, std::forward<Args>(args)...));
}
template <class... Args>
void warn(fmt::format_string<Args...> format, Args&&... args) {
  if (enabled(Level::warn)) write(Level::warn, fmt::format(format, std::forward<Args>(args)...));
}
template <class... Args>
void error(fmt::format_string<Args...> format, Args&&... args) {
  if (enabled(Level::error)) write(Level::error, fmt::format(format, std::forward<Args>(args)...));
}

}  // namespace ukai::log
