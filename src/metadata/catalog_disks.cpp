// SPDX-License-Identifier: BSD-2-Clause
//
// Disks: reading, creating, changing, deleting.
//
// Why a change under a lease cannot slip in after the lease was lost. A lease's znode is created by
// take_lease only, in one transaction that also writes the disk's record (epoch + 1). A transaction
// here compares the record's version with the one at which the caller read it, and the caller read
// the lease's own epoch in it: so no lease was taken since. It also requires that the lease's znode
// exists: as none was taken since, it is the caller's own and no later one. (ZooKeeper's check
// compares data versions only, and a new znode at the same path starts at 0 again: a check of the
// lease alone would prove nothing.) What an expired session had queued is refused by the server.
#include <algorithm>
#include <array>
#include <utility>

#include "metadata/catalog_io.h"
#include "metadata/catalog_paths.h"
#include "metadata/event_texts.h"
#include "ukai/catalog.h"
#include "ukai/geometry.h"
#include "ukai/limits.h"

namespace ukai {

namespace {

/// Folders of each disk, below its record.
constexpr std::array<const char*, 3> disk_folders{"/map", "/jobs", "/readers"};

/// What is written must be readable again.
Result<> check_written(const pb::DiskRecord& record) {
  auto fine = check_record(record);
  if (fine) return fine;
  return Error{Code::invalid, "disk \"" + record.name() + "\": " + fine.error().what};
}

Error lease_gone(const Lease& lease, const pb::DiskRecord& record) {
  return {Code::stale, "the lease on disk \"" + record.name() + "\" (epoch " +
                           std::to_string(raw(lease.epoch)) + ") has ended"};
}

Error name_taken(const std::string& name) {
  return {Code::exists, "a disk named \"" + name + "\" exists already"};
}

/// Says in the words of disks what a step of a change ran into.
Error explain(Error error, const Lease& lease, const pb::DiskRecord& before,
              const pb::DiskRecord& after) {
  const bool on_lease = concerns(error, Catalog::lease_path(lease.disk));
  const bool on_record = concerns(error, Catalog::disk_path(lease.disk));
  if (error.code == Code::not_found && (on_lease || on_record)) return lease_gone(lease, before);
  if (error.code == Code::stale && on_record) {
    return {Code::stale, "disk \"" + before.name() + "\" was changed by somebody else"};
  }
  if (error.code == Code::exists && concerns(error, name_path(after.name()))) {
    return name_taken(after.name());
  }
  return error;
}

/// Steps that create or replace segments, stamped with `op`.
void add_segments(std::vector<Op>& ops, const std::string& disk_path, const std::string& op,
                  std::vector<SegmentEntry> segments) {
  for (SegmentEntry& entry : segments) {
    entry.segment.set_last_op(op);
    std::string path = segment_path(disk_path, entry.segment.segment());
    std::string value = encode_record(entry.segment);
    ops.push_back(entry.version == any_version
                      ? Op::create(std::move(path), std::move(value))
                      : Op::set(std::move(path), std::move(value), entry.version));
  }
}

/// `changed` as it follows `before`, by the operation `op`. Errors: it could not be read again.
Result<> stamp(pb::DiskRecord& changed, const pb::DiskRecord& before, const std::string& op) {
  changed.set_id(before.id());
  changed.set_epoch(before.epoch());
  changed.set_last_op(before.last_op());
  *changed.mutable_earlier_ops() = before.earlier_ops();
  remember_operation(changed, op);
  if (auto name = parse_disk_name(changed.name()); !name) return name.error();
  return check_written(changed);
}

/// Steps that leave the orders at those of their nodes that are registered.
Task<Result<>> add_orders(Coordination& coordination, std::vector<Op>& ops,
                          std::vector<Catalog::Order> orders) {
  for (const Catalog::Order& order : orders) {
    const std::string trash = Catalog::trash_path(order.node);
    const std::string no_op;
    auto there = co_await path_is_there(coordination, trash, no_op);
    if (!there) co_return there.error();
    if (*there) ops.push_back(Op::create(trash + "/" + order.key, encode_record(order.record)));
  }
  co_return Unit{};
}

std::string name_record(const std::string& disk_id) {
  pb::NameRecord record;
  record.set_disk_id(disk_id);
  return encode_record(record);
}

Task<Result<DiskListing>> list_one(Catalog& catalog, DiskName name) {
  auto id = co_await catalog.find_disk(name);
  if (!id) co_return DiskListing{std::move(name), id.error()};
  auto entry = co_await catalog.load_disk(*id);
  co_return DiskListing{std::move(name), std::move(entry)};
}

/// No value: the folder does not exist.
Task<Result<std::optional<std::vector<std::string>>>> folder(Coordination& coordination,
                                                             std::string path) {
  auto names = co_await coordination.children(std::move(path));
  if (names.ok()) co_return std::optional<std::vector<std::string>>(std::move(*names));
  if (names.failed_with(Code::not_found)) co_return std::optional<std::vector<std::string>>();
  co_return names.error();
}

}  // namespace

Task<Result<DiskId>> Catalog::find_disk(DiskName name) {
  const std::string path = name_path(name.str());
  auto loaded = co_await load_record<pb::NameRecord>(coordination_, path);
  if (loaded.failed_with(Code::not_found)) {
    co_return Error{Code::not_found, "there is no disk named \"" + name.str() + "\""};
  }
  if (!loaded) co_return loaded.error();
  co_return *DiskId::parse(loaded->record.disk_id());
}

Task<Result<std::vector<DiskName>>> Catalog::disk_names() {
  auto names = co_await coordination_.children(names_path());
  if (!names) co_return names.error();
  std::sort(names->begin(), names->end());
  std::vector<DiskName> out;
  for (std::string& name : *names) out.emplace_back(std::move(name));
  co_return out;
}

Task<Result<std::vector<DiskListing>>> Catalog::disks() {
  auto names = co_await disk_names();
  if (!names) co_return names.error();
  std::vector<Task<Result<DiskListing>>> tasks;
  for (const DiskName& name : *names) tasks.push_back(list_one(*this, name));
  auto lines = co_await gather(std::move(tasks));
  std::vector<DiskListing> out;
  for (auto& line : lines) {
    const Result<DiskEntry>& entry = line->entry;
    if (entry.failed_with(Code::not_found)) continue;  // deleted meanwhile
    const bool damaged = entry.failed_with(Code::corrupt);
    if (!entry && !damaged) co_return entry.error();
    out.push_back(std::move(*line));
  }
  co_return out;
}

Task<Result<DiskEntry>> Catalog::load_disk(DiskId disk) {
  const std::string path = disk_path(disk);
  auto loaded = co_await load_record<pb::DiskRecord>(coordination_, path);
  if (!loaded) co_return loaded.error();
  if (loaded->record.id() != disk.to_string()) {
    co_return detail::corrupt_record(path, "is of disk \"" + loaded->record.id() + "\"");
  }
  co_return DiskEntry{std::move(loaded->record), loaded->stat.version};
}

Task<Result<SegmentEntry>> Catalog::load_segment(DiskId disk, std::uint32_t segment) {
  const std::string path = segment_path(disk_path(disk), segment);
  auto loaded = co_await load_record<pb::MapSegment>(coordination_, path);
  if (!loaded) co_return loaded.error();
  if (loaded->record.segment() != segment) {
    co_return detail::corrupt_record(path,
                                     "is segment " + std::to_string(loaded->record.segment()));
  }
  co_return SegmentEntry{std::move(loaded->record), loaded->stat.version};
}

Task<Result<>> Catalog::create_disk(pb::DiskRecord record, std::vector<pb::MapSegment> segments) {
  auto id = DiskId::parse(record.id());
  if (!id) co_return id.error();
  if (auto name = parse_disk_name(record.name()); !name) co_return name.error();
  if (auto fine = check_written(record); !fine) co_return fine;
  const std::string path = disk_path(*id);
  const std::string op = new_operation();
  record.set_last_op(op);

  std::vector<Op> ops;
  ops.push_back(Op::create(name_path(record.name()), name_record(record.id())));
  ops.push_back(Op::create(path, encode_record(record)));
  for (const char* part : disk_folders) ops.push_back(Op::create(path + part, ""));
  std::vector<SegmentEntry> entries;
  for (auto& segment : segments) entries.push_back({std::move(segment), any_version});
  add_segments(ops, path, op, std::move(entries));

  Probe probe{&disk_has_op, path, op};
  std::vector<pb::EventRecord> events{creation_event(record)};
  auto done = co_await commit_told(std::move(ops), std::move(probe), std::move(events));
  if (done.ok()) co_return Unit{};
  if (done.failed_with(Code::exists) && concerns(done.error(), name_path(record.name()))) {
    co_return name_taken(record.name());
  }
  if (done.failed_with(Code::invalid)) {
    co_return Error{Code::invalid,
                    "disk \"" + record.name() + "\" cannot be created: " + done.error().what};
  }
  co_return done;
}

Task<Result<DiskEntry>> Catalog::update_disk(Lease lease, DiskEntry entry, pb::DiskRecord changed) {
  std::vector<SegmentEntry> none;
  co_return co_await update_disk_and_map(std::move(lease), std::move(entry), std::move(changed),
                                         std::move(none));
}

Task<Result<DiskEntry>> Catalog::update_disk_and_map(Lease lease, DiskEntry entry,
                                                     pb::DiskRecord changed,
                                                     std::vector<SegmentEntry> segments,
                                                     pb::EventRecord event,
                                                     std::vector<Order> orders) {
  const pb::DiskRecord& before = entry.record;
  if (before.epoch() != raw(lease.epoch)) co_return lease_gone(lease, before);
  const std::string path = disk_path(lease.disk);
  const std::string op = new_operation();
  if (auto fine = stamp(changed, before, op); !fine) co_return fine.error();

  std::vector<Op> ops;
  ops.push_back(Op::check(lease_path(lease.disk), any_version));
  ops.push_back(Op::set(path, encode_record(changed), entry.version));
  if (changed.name() != before.name()) {
    ops.push_back(Op::create(name_path(changed.name()), name_record(changed.id())));
    ops.push_back(Op::remove(name_path(before.name())));
  }
  add_segments(ops, path, op, std::move(segments));
  auto added = co_await add_orders(coordination_, ops, std::move(orders));
  if (!added) co_return added.error();

  Probe probe{&disk_has_op, path, op};
  std::vector<pb::EventRecord> events = change_events(before, changed, event);
  auto done = co_await commit_told(std::move(ops), std::move(probe), std::move(events));
  if (!done) co_return explain(done.error(), lease, before, changed);
  co_return DiskEntry{std::move(changed), entry.version + 1};
}

Task<Result<DiskEntry>> Catalog::shrink_disk(Lease lease, DiskEntry entry, pb::DiskRecord changed,
                                             SegmentEntry last, std::vector<Order> orders) {
  const pb::DiskRecord& before = entry.record;
  if (before.epoch() != raw(lease.epoch)) co_return lease_gone(lease, before);
  const std::string path = disk_path(lease.disk);
  const std::string op = new_operation();
  if (auto fine = stamp(changed, before, op); !fine) co_return fine.error();

  std::vector<Op> ops;
  ops.push_back(Op::check(lease_path(lease.disk), any_version));
  ops.push_back(Op::set(path, encode_record(changed), entry.version));
  // Who reads it at this moment knows the old size: the folder goes only while it is empty.
  ops.push_back(Op::remove(path + "/readers"));
  ops.push_back(Op::create(path + "/readers", ""));
  const std::uint32_t kept = last.segment.segment() + 1;
  std::vector<SegmentEntry> segments{std::move(last)};
  add_segments(ops, path, op, std::move(segments));
  const Geometry geometry{before.size(), before.block_size()};
  for (std::uint32_t gone = kept; gone < geometry.segment_count(); ++gone) {
    ops.push_back(Op::remove(segment_path(path, gone)));
  }
  auto added = co_await add_orders(coordination_, ops, std::move(orders));
  if (!added) co_return added.error();

  Probe probe{&disk_has_op, path, op};
  const pb::EventRecord event;
  std::vector<pb::EventRecord> events = change_events(before, changed, event);
  auto done = co_await commit_told(std::move(ops), std::move(probe), std::move(events));
  if (done.failed_with(Code::busy)) {
    co_return Error{Code::busy, "disk \"" + before.name() + "\" is open for reading"};
  }
  if (!done) co_return explain(done.error(), lease, before, changed);
  co_return DiskEntry{std::move(changed), entry.version + 1};
}

Task<Result<>> Catalog::delete_disk(Lease lease, DiskEntry entry) {
  const pb::DiskRecord& record = entry.record;
  if (record.epoch() != raw(lease.epoch)) co_return lease_gone(lease, record);
  const std::string path = disk_path(lease.disk);
  std::vector<Op> ops;
  ops.push_back(Op::remove(lease_path(lease.disk)));

  std::vector<std::string> jobs;
  // 1. What lies below the record. A znode that appears later lets the transaction fail with busy.
  for (const char* part : disk_folders) {
    const std::string folder_path = path + part;
    auto names = co_await folder(coordination_, folder_path);
    if (!names) co_return names.error();
    if (!*names) continue;
    if (folder_path.ends_with("/readers") && !(*names)->empty()) {
      co_return Error{Code::busy, "disk \"" + record.name() + "\" is open on host \"" +
                                      (*names)->front() + "\""};
    }
    for (const std::string& name : **names) ops.push_back(Op::remove(folder_path + "/" + name));
    ops.push_back(Op::remove(folder_path));
    if (folder_path == jobs_path(path)) jobs = std::move(**names);
  }

  for (const std::string& job : jobs) {
    const std::string active = active_jobs_path() + "/" + record.id() + "-" + job;
    const std::string no_op;
    auto there = co_await path_is_there(coordination_, active, no_op);
    if (!there) co_return there.error();
    if (*there) ops.push_back(Op::remove(active));
  }

  // 2. The disk itself.
  ops.push_back(Op::remove(path, entry.version));
  ops.push_back(Op::remove(name_path(record.name())));

  // 3. Orders to the nodes that may hold data, as far as they are still registered.
  pb::TrashRecord order;
  order.set_disk_id(record.id());
  order.set_disk_name(record.name());
  for (const pb::Member& member : record.members()) {
    const std::string trash = trash_path(NodeId(member.node()));
    const std::string no_op;
    auto there = co_await path_is_there(coordination_, trash, no_op);
    if (!there) co_return there.error();
    if (*there) ops.push_back(Op::create(trash + "/" + record.id(), encode_record(order)));
  }
  Probe probe{&path_is_gone, path, ""};
  std::vector<pb::EventRecord> events{deletion_event(record)};
  auto done = co_await commit_told(std::move(ops), std::move(probe), std::move(events));
  if (!done) co_return explain(done.error(), lease, record, record);
  co_return Unit{};
}

}  // namespace ukai
