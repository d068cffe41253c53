// SPDX-License-Identifier: BSD-2-Clause
#include <fmt/format.h>

#include <charconv>

#include "base/text.h"
#include "ctl/commands.h"
#include "ctl/event_view.h"
#include "ctl/lookup.h"
#include "ukai/limits.h"

namespace ukai::ctl {
namespace {

constexpr std::size_t shown_default = 100;

Result<std::size_t> parse_limit(const std::string& text) {
  if (text.empty()) return shown_default;
  std::size_t limit = 0;
  const char* end = text.data() + text.size();
  const auto read = std::from_chars(text.data(), end, limit);
  if (read.ec != std::errc() || read.ptr != end || limit == 0 || limit > limits::events_max) {
    return Error{Code::invalid, fmt::format("--limit '{}' is no number from 1 to {}",
                                            printable(text), limits::events_max)};
  }
  return limit;
}

/// Those of the disk that has this name now, under whatever name, and of former ones.
Result<> keep_those_of(Context& context, const std::string& name, std::vector<EventEntry>& events) {
  auto disk = find_disk(context, name);
  if (!disk && disk.code() != Code::not_found) return disk.error();
  const std::string id = disk ? disk->to_string() : "";
  std::erase_if(events, [&](const EventEntry& event) {
    const bool same = !id.empty() && event.record.disk_id() == id;
    return !same && event.record.disk() != name;
  });
  if (!disk && events.empty()) return disk.error();
  return {};
}

}  // namespace

Result<> events(Context& context, const EventsOptions& options) {
  auto limit = parse_limit(options.limit);
  if (!limit) return limit.error();
  const std::size_t read = options.disk.empty() ? *limit : limits::events_max;
  auto events = context.ask(context.catalog().events(read));
  if (!events) return events.error();
  if (!options.disk.empty()) {
    auto kept = keep_those_of(context, options.disk, *events);
    if (!kept) return kept.error();
  }
  if (events->size() > *limit) events->resize(*limit);
  context.print(context.json() ? events_json(*events) : events_table(*events));
  return {};
}

}  // namespace ukai::ctl
