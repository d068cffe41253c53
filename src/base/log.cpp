// SPDX-License-Identifier: BSD-2-Clause
#include "base/log.h"

#include <spdlog/sinks/basic_file_sink.h>
#include <spdlog/sinks/stdout_sinks.h>
#include <spdlog/spdlog.h>

#include <atomic>
#include <memory>
#include <mutex>

namespace ukai::log {
namespace {

std::shared_ptr<spdlog::logger> make_logger(spdlog::sink_ptr sink) {
  auto logger = std::make_shared<spdlog::logger>("ukai", std::move(sink));
  logger->set_pattern("%Y-%m-%dT%H:%M:%S.%e%z level=%l %v");
  logger->set_level(spdlog::level::debug);  // `enabled` decides
  logger->flush_on(spdlog::level::debug);   // a crash must not swallow the lines before it
  return logger;
}

/// The only global of the project: everybody writes to one log.
struct State {
  std::mutex mutex;
  std::shared_ptr<spdlog::logger> logger =
      make_logger(std::make_shared<spdlog::sinks::stderr_sink_mt>());
  std::atomic<Level> level{Level::info};
};

State& state() {
  static State* const global = new State;  // never destroyed: threads may log until the very end
  return *global;
}

spdlog::level::level_enum translate(Level level) {
  switch (level) {
    case Level::debug:
      return spdlog::level::debug;
    case Level::info:
      return spdlog::level::info;
    case Level::warn:
      return spdlog::level::warn;
    case Level::error:
      return spdlog::level::err;
  }
  return spdlog::level::err;
}

}  // namespace

Result<Level> parse_level(std::string_view text) {
  if (text == "debug") return Level::debug;
  if (text == "info") return Level::info;
  if (text == "warn") return Level::warn;
  if (text == "error") return Level::error;
  return Error{Code::invalid, fmt::format("'{}' is not a log level", text)};
}

Result<> open(const Options& options) {
  spdlog::sink_ptr sink;
  try {
    if (options.file.empty()) {
      sink = std::make_shared<spdlog::sinks::stderr_sink_mt>();
    } else {
      sink = std::make_shared<spdlog::sinks::basic_file_sink_mt>(options.file);
    }
  } catch (const spdlog::spdlog_ex& failure) {
    return Error{Code::invalid,
                 fmt::format("log file {} cannot be written: {}", options.file, failure.what())};
  }
  std::lock_guard lock(state().mutex);
  state().logger = make_logger(std::move(sink));
  state().level = options.level;
  return Unit{};
}

bool enabled(Level level) { return level >= state().level.load(std::memory_order_relaxed); }

void write(Level level, std::string_view line) {
  std::string clean(line);
  for (char& c : clean) {
    if (static_cast<unsigned char>(c) < 0x20 || c == 0x7f) c = ' ';
  }
  std::shared_ptr<spdlog::logger> logger;
  {
    std::lock_guard lock(state().mutex);
    logger = state().logger;
  }
  logger->log(translate(level), spdlog::string_view_t(clean));
}

}  // namespace ukai::log
