// SPDX-License-Identifier: BSD-2-Clause
#include "ctl/event_view.h"

#include <algorithm>

#include "ctl/json.h"
#include "ctl/table.h"

namespace ukai::ctl {
namespace {

/// "disk_created" -> "disk created"
std::string words_of(std::string what) {
  std::replace(what.begin(), what.end(), '_', ' ');
  return what;
}

std::string or_dash(const std::string& text) { return text.empty() ? "-" : one_line(text); }

}  // namespace

std::string events_table(const std::vector<EventEntry>& events) {
  Table table({"TIME", "WHO", "WHAT", "DISK", "NODE", "DETAILS"});
  for (const EventEntry& event : events) {
    const pb::EventRecord& record = event.record;
    table.add_row({format_time(record.unix_s()), or_dash(record.who()), words_of(record.what()),
                   or_dash(record.disk()), or_dash(record.node()), or_dash(record.text())});
  }
  return table.text();
}

std::string events_json(const std::vector<EventEntry>& events) {
  Json json = document("events");
  json["events"] = Json::array();
  for (const EventEntry& event : events) {
    const pb::EventRecord& record = event.record;
    json["events"].push_back({{"id", event.key},
                              {"unix_s", record.unix_s()},
                              {"who", null_if_empty(record.who())},
                              {"what", record.what()},
                              {"disk", null_if_empty(record.disk())},
                              {"disk_id", null_if_empty(record.disk_id())},
                              {"node", null_if_empty(record.node())},
                              {"text", null_if_empty(record.text())}});
  }
  return text_of(json);
}

}  // namespace ukai::ctl
