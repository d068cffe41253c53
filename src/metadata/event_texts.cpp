// SPDX-License-Identifier: BSD-2-Clause
#include "metadata/event_texts.h"

#include <fmt/format.h>

#include <algorithm>

#include "metadata/records.h"
#include "ukai/types.h"

namespace ukai {
namespace {

pb::EventRecord event_of(const pb::DiskRecord& record, std::string what, std::string text) {
  pb::EventRecord event;
  event.set_what(std::move(what));
  event.set_disk_id(record.id());
  event.set_disk(record.name());
  event.set_text(std::move(text));
  return event;
}

const pb::Member* find_member(const pb::DiskRecord& record, const std::string& node) {
  const auto& members = record.members();
  const auto found = std::find_if(members.begin(), members.end(),
                                  [&](const auto& member) { return member.node() == node; });
  return found == members.end() ? nullptr : &*found;
}

std::string hosts_text(const pb::DiskRecord& record) {
  if (record.allowed_hosts().empty()) return "any host";
  return fmt::format("{}", fmt::join(record.allowed_hosts(), ", "));
}

void add_member_events(const pb::DiskRecord& before, const pb::DiskRecord& after,
                       std::vector<pb::EventRecord>& events) {
  for (const pb::Member& member : after.members()) {
    const pb::Member* former = find_member(before, member.node());
    const bool was_missing = former != nullptr && former->missing();
    if (member.missing() == was_missing) continue;
    pb::EventRecord event = member.missing()
                                ? event_of(after, "member_missing", member.reason())
                                : event_of(after, "member_present", "it holds what it had missed");
    event.set_node(member.node());
    events.push_back(std::move(event));
  }
}

}  // namespace

pb::EventRecord creation_event(const pb::DiskRecord& record) {
  std::vector<std::string> nodes;
  for (const pb::Member& member : record.members()) nodes.push_back(member.node());
  return event_of(record, "disk_created",
                  fmt::format("{} on {}", format_size(record.size()), fmt::join(nodes, ", ")));
}

pb::EventRecord deletion_event(const pb::DiskRecord& record) {
  return event_of(record, "disk_deleted", format_size(record.size()));
}

std::vector<pb::EventRecord> change_events(const pb::DiskRecord& before,
                                           const pb::DiskRecord& after,
                                           const pb::EventRecord& asked) {
  std::vector<pb::EventRecord> events;
  if (!asked.what().empty()) {
    events.push_back(asked);
    events.back().set_disk_id(after.id());
    events.back().set_disk(after.name());
    return events;
  }
  if (before.name() != after.name()) {
    events.push_back(event_of(after, "disk_renamed", "before: " + before.name()));
  }
  if (before.size() != after.size()) {
    events.push_back(event_of(
        after, "disk_resized",
        fmt::format("from {} to {}", format_size(before.size()), format_size(after.size()))));
  }
  const auto& hosts = after.allowed_hosts();
  if (!std::equal(hosts.begin(), hosts.end(), before.allowed_hosts().begin(),
                  before.allowed_hosts().end())) {
    events.push_back(event_of(after, "hosts_changed",
                              fmt::format("from {} to {}", hosts_text(before), hosts_text(after))));
  }
  add_member_events(before, after, events);
  for (pb::EventRecord& event : events) event.set_who(asked.who());
  return events;
}

std::vector<pb::EventRecord> lease_events(const pb::DiskRecord& record,
                                          const pb::LeaseRecord& lease) {
  if (lease.kind() == pb::LeaseRecord::ADMIN) return {};
  return {event_of(record, "lease_taken", fmt::format("epoch {}", lease.epoch()))};
}

pb::EventRecord force_event(const std::string& record, const std::string& lease) {
  const auto disk = decode_record<pb::DiskRecord>("disk", record);
  const auto held = decode_record<pb::LeaseRecord>("lease", lease);
  return event_of(disk ? *disk : pb::DiskRecord(), "lease_forced",
                  held ? fmt::format("of {}, epoch {}", held->holder(), held->epoch())
                       : std::string("of somebody: the lease's record is damaged"));
}

}  // namespace ukai
