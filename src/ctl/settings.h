// SPDX-License-Identifier: BSD-2-Clause
#pragma once

#include <chrono>
#include <cstdint>
#include <functional>
#include <optional>
#include <string>

#include "ukai/limits.h"
#include "ukai/result.h"

namespace ukai::ctl {

/// The options that stand before (or after) any command, as they were typed.
struct Globals {
  std::string config;    ///< a file; empty: none
  std::string metadata;  ///< HOSTS/CHROOT
  std::string output = "table";
  std::string timeout = "10";
};

/// What the options, the environment and the config file come to, in this order of preference.
struct Settings {
  std::string servers;  ///< empty: nobody said
  bool json = false;
  std::chrono::milliseconds timeout{10'000};
  // Defaults of the original's create_image ([create] in the config file).
  std::string create_location;
  std::uint64_t create_block_size = limits::block_size_bytes_default;
};

using Variable = std::function<std::optional<std::string>(const std::string&)>;
/// Errors: not_found (no config file), invalid (its content, or an option's value).
Result<Settings> resolve_settings(const Globals& globals, const Variable& variable);

/// "10", "0.5" (seconds), "2s", "500ms"; from 100 ms to one hour.
Result<std::chrono::milliseconds> parse_timeout(std::string_view text);

}  // namespace ukai::ctl
