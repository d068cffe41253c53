// SPDX-License-Identifier: BSD-2-Clause
#include "ctl/settings.h"

#include <fmt/format.h>

#include <cmath>
#include <cstdlib>

#include "base/config.h"
#include "base/text.h"

namespace ukai::ctl {
namespace {

constexpr double timeout_s_min = 0.1;
constexpr double timeout_s_max = 3600;

Result<> read_config(const std::string& path, Settings& settings) {
  auto config = ConfigReader::load(path);
  if (!config) return config.error();
  settings.servers = config->string("metadata.servers", std::string());
  settings.create_location = config->string("create.location", std::string());
  settings.create_block_size = config->size("create.block_size", settings.create_block_size);
  return config->finish();
}

}  // namespace

Result<std::chrono::milliseconds> parse_timeout(std::string_view text) {
  const std::string copy(text);
  char* end = nullptr;
  double seconds = std::strtod(copy.c_str(), &end);
  if (copy.empty() || end == copy.c_str() || *end != '\0') {
    auto duration = parse_duration(text);
    if (!duration) {
      return Error{
          Code::invalid,
          fmt::format("--timeout '{}' is not a time (seconds, or 500ms, 2s, 1m)", printable(text))};
    }
    seconds = std::chrono::duration<double>(*duration).count();
  }
  if (!std::isfinite(seconds) || seconds < timeout_s_min || seconds > timeout_s_max) {
    return Error{Code::invalid, fmt::format("--timeout '{}' is not from {} to {} seconds",
                                            printable(text), timeout_s_min, timeout_s_max)};
  }
  return std::chrono::milliseconds(std::llround(seconds * 1000));
}

Result<Settings> resolve_settings(const Globals& globals, const Variable& variable) {
  Settings settings;
  if (!globals.config.empty()) {
    auto read = read_config(globals.config, settings);
    if (!read) return read.error();
  }
  if (!globals.metadata.empty()) {
    settings.servers = globals.metadata;
  } else if (auto value = variable("UKAI_METADATA"); value && !value->empty()) {
    settings.servers = *value;
  }
  auto timeout = parse_timeout(globals.timeout);
  if (!timeout) return timeout.error();
  settings.timeout = *timeout;
  settings.json = globals.output == "json";
  return settings;
}

}  // namespace ukai::ctl
