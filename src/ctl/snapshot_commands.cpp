// SPDX-License-Identifier: BSD-2-Clause
#include <fmt/format.h>

#include <algorithm>

#include "ctl/commands.h"
#include "ctl/disk_access.h"
#include "ctl/lookup.h"
#include "ctl/snapshot_view.h"
#include "ukai/history.h"

namespace ukai::ctl {
namespace {

Result<SnapshotName> snapshot_named(const std::string& text) {
  auto name = parse_snapshot_name(text);
  if (!name) return name.error();
  if (!name->snapshot.empty()) return name;
  return Error{Code::invalid, fmt::format("'{}' names no snapshot: NAME@SNAPSHOT does", text)};
}

/// A disk with the snapshot that was typed, which is there.
struct Found {
  pb::DiskRecord record;
  pb::Snapshot snapshot;
};

Result<Found> find(Context& context, const std::string& text) {
  auto name = snapshot_named(text);
  if (!name) return name.error();
  auto entry = load_disk(context, name->disk.str());
  if (!entry) return entry.error();
  const pb::Snapshot* snapshot = find_snapshot(entry->record, name->snapshot);
  if (snapshot == nullptr) {
    return Error{Code::not_found,
                 fmt::format("disk {} has no snapshot {}", name->disk.str(), name->snapshot)};
  }
  return Found{entry->record, *snapshot};
}

/// Only a host changes generations: it has to tell the nodes.
Result<> change_at_some_host(Context& context, const pb::DiskRecord& record,
                             pb::ChangeDiskRequest request) {
  request.set_disk_id(record.id());
  request.set_asked_by(context.environment().author);
  return at_some_host(context, record, [&](const pb::HostRecord& host) -> Result<> {
    auto reply = sync_wait(context.calls().change_disk(host, request));
    if (!reply) return host_error(host, reply.error());
    return {};
  });
}

/// The one host that has all of them, or none of which anybody has; the record of one that is held,
/// if any is.
Result<pb::DiskRecord> held_together(Context& context, const std::vector<pb::DiskRecord>& records) {
  std::string holder_of_all;
  pb::DiskRecord out = records.front();
  for (const pb::DiskRecord& record : records) {
    auto id = DiskId::parse(record.id());
    if (!id) return id.error();
    auto holder = find_holder(context, *id);
    if (!holder) return holder.error();
    if (!holder->host) continue;
    if (!holder_of_all.empty() && holder_of_all != holder->host->id()) {
      return Error{Code::busy,
                   fmt::format("disk {} is in use on host {} and disk {} on {}: only one host can "
                               "freeze several disks at one instant",
                               out.name(), holder_of_all, record.name(), holder->host->id())};
    }
    holder_of_all = holder->host->id();
    out = record;
  }
  return out;
}

}  // namespace

Result<> snapshot_create(Context& context, const SnapshotCreateOptions& options) {
  pb::TakeSnapshotsRequest request;
  request.set_asked_by(context.environment().author);
  std::vector<pb::DiskRecord> records;
  for (const std::string& text : options.names) {
    auto name = snapshot_named(text);
    if (!name) return name.error();
    auto entry = load_disk(context, name->disk.str());
    if (!entry) return entry.error();
    const auto again =
        std::any_of(records.begin(), records.end(),
                    [&](const pb::DiskRecord& other) { return other.id() == entry->record.id(); });
    if (again) {
      return Error{Code::invalid, fmt::format("disk {} is named twice", name->disk.str())};
    }
    if (find_snapshot(entry->record, name->snapshot) != nullptr) {
      return Error{Code::exists, fmt::format("disk {} has a snapshot {} already", name->disk.str(),
                                             name->snapshot)};
    }
    auto* one = request.add_snapshots();
    one->set_disk_id(entry->record.id());
    one->set_name(name->snapshot);
    records.push_back(entry->record);
  }
  auto where = held_together(context, records);
  if (!where) return where.error();
  pb::TakeSnapshotsReply taken;
  auto done = at_some_host(context, *where, [&](const pb::HostRecord& host) -> Result<> {
    auto reply = sync_wait(context.calls().take_snapshots(host, request));
    if (!reply) return host_error(host, reply.error());
    taken = *reply;
    return {};
  });
  if (!done) return done;
  if (context.json()) context.print(snapshot_create_json(request, taken));
  return {};
}

Result<> snapshot_delete(Context& context, const SnapshotDeleteOptions& options) {
  auto found = find(context, options.name);
  const bool absent = found.failed_with(Code::not_found) && options.if_exists;
  if (!found && !absent) return found.error();
  if (found) {
    pb::ChangeDiskRequest request;
    request.set_delete_snapshot(found->snapshot.name());
    auto done = change_at_some_host(context, found->record, std::move(request));
    if (!done && !(options.if_exists && done.failed_with(Code::not_found))) return done;
  }
  if (context.json()) context.print(snapshot_done_json("snapshot_delete", options.name));
  return {};
}

Result<> snapshot_list(Context& context, const DiskOptions& options) {
  auto entry = load_disk(context, options.name);
  if (!entry) return entry.error();
  context.print(context.json() ? snapshot_list_json(entry->record)
                               : snapshot_list_text(entry->record));
  return {};
}

Result<> snapshot_info(Context& context, const DiskOptions& options) {
  auto found = find(context, options.name);
  if (!found) return found.error();
  context.print(context.json() ? snapshot_info_json(found->record, found->snapshot)
                               : snapshot_info_text(found->record, found->snapshot));
  return {};
}

Result<> snapshot_rollback(Context& context, const DiskOptions& options) {
  auto found = find(context, options.name);
  if (!found) return found.error();
  pb::ChangeDiskRequest request;
  request.set_rollback(found->snapshot.name());
  auto done = change_at_some_host(context, found->record, std::move(request));
  if (!done) return done;
  if (context.json()) context.print(snapshot_done_json("snapshot_rollback", options.name));
  return {};
}

Result<> clone_disk(Context& context, const CloneOptions& options) {
  auto from = parse_snapshot_name(options.name);
  if (!from) return from.error();
  auto made = parse_disk_name(options.new_name);
  if (!made) return made.error();
  auto entry = load_disk(context, from->disk.str());
  if (!entry) return entry.error();
  auto taken = load_disk(context, options.new_name);
  if (taken) {
    return Error{Code::exists, fmt::format("there is a disk named \"{}\" already", made->str())};
  }
  if (!taken.failed_with(Code::not_found)) return taken.error();
  pb::CloneDiskRequest request;
  request.set_disk_id(entry->record.id());
  request.set_snapshot(from->snapshot);
  request.set_new_name(options.new_name);
  request.set_asked_by(context.environment().author);
  pb::DiskRecord record;
  auto done = at_some_host(context, entry->record, [&](const pb::HostRecord& host) -> Result<> {
    request.set_new_disk_id(DiskId::random().to_string());
    auto reply = sync_wait(context.calls().clone_disk(host, request));
    if (!reply) return host_error(host, reply.error());
    record = reply->record();
    return {};
  });
  if (!done) return done;
  if (context.json()) context.print(clone_json(record));
  if (!context.json() && record.pending_replicas() > 0) {
    context.print(
        fmt::format("{} replicas are out of sync, as their nodes could not be asked: "
                    "'ukaictl sync {}' brings them in sync\n",
                    record.pending_replicas(), record.name()));
  }
  return {};
}

Result<> disk_diff(Context& context, const DiffOptions& options) {
  auto from = find(context, options.from);
  if (!from) return from.error();
  auto to = parse_snapshot_name(options.to);
  if (!to) return to.error();
  const pb::DiskRecord& record = from->record;
  if (to->disk.str() != record.name()) {
    return Error{Code::invalid,
                 fmt::format("{} and {} are not of one disk", options.from, options.to)};
  }
  if (!to->snapshot.empty() && find_snapshot(record, to->snapshot) == nullptr) {
    return Error{Code::not_found,
                 fmt::format("disk {} has no snapshot {}", record.name(), to->snapshot)};
  }
  pb::DiffDiskRequest request;
  request.set_disk_id(record.id());
  request.set_from(from->snapshot.name());
  request.set_to(to->snapshot);
  pb::DiffProgress found;
  auto done = at_some_host(context, record, [&](const pb::HostRecord& host) -> Result<> {
    found.Clear();
    auto progress = [&](const pb::DiffProgress& message) {
      found.MergeFrom(message);
      return !context.environment().interrupted();
    };
    auto compared = sync_wait(context.calls().diff_disk(host, request, progress));
    if (!compared) return host_error(host, compared.error());
    if (found.finished()) return {};
    return Error{Code::unreachable, fmt::format("host {} stopped before the end", host.id())};
  });
  if (!done) return done;
  context.print(context.json() ? diff_json(record, request, found) : diff_text(found));
  return {};
}

}  // namespace ukai::ctl
