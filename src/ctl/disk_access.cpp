// SPDX-License-Identifier: BSD-2-Clause
#include "ctl/disk_access.h"

#include <fmt/format.h>
#include <google/protobuf/util/message_differencer.h>

#include <thread>

#include "ctl/jobs.h"
#include "ctl/lookup.h"
#include "ukai/disk_change.h"
#include "ukai/location_orders.h"

namespace ukai::ctl {
namespace {

/// How long we go on when somebody else is in the way for a moment.
class Patience {
 public:
  explicit Patience(Context& context)
      : environment_(context.environment()),
        end_(std::chrono::steady_clock::now() + context.settings().timeout) {}
  /// Waits a little; false when the time is over or the user has had enough.
  bool again() {
    if (environment_.interrupted()) return false;
    if (std::chrono::steady_clock::now() + pause_ > end_) return false;
    std::this_thread::sleep_for(pause_);
    pause_ = std::min(pause_ * 2, pause_max);
    return true;
  }

 private:
  static constexpr std::chrono::milliseconds pause_max{200};
  Environment& environment_;
  std::chrono::milliseconds pause_{10};
  std::chrono::steady_clock::time_point end_;
};

/// Silence of a host that has just died ends when its registration does.
bool is_silent(const Error& error) {
  return error.code == Code::unreachable || error.code == Code::unknown ||
         error.code == Code::shut_down;
}

/// Other ukaictls hold a lease for milliseconds and the lease of a dead host ends with its session:
/// both are worth a wait.
Error held_by_other(const pb::DiskRecord& record, const LeaseInfo& lease) {
  const std::string& holder = lease.record.holder();
  if (lease.record.kind() == pb::LeaseRecord::ADMIN) {
    return {Code::busy, fmt::format("disk {} is being changed by {}", record.name(), holder)};
  }
  return {Code::busy,
          fmt::format("disk {} is held by {}, which is not running; the lease ends by itself or "
                      "with 'ukaictl lease release {}'",
                      record.name(), holder, record.name())};
}

Result<pb::DiskRecord> change_at_host(Context& context, const pb::HostRecord& host,
                                      pb::ChangeDiskRequest request) {
  request.set_asked_by(context.environment().author);
  auto reply = sync_wait(context.calls().change_disk(host, std::move(request)));
  if (!reply) return host_error(host, reply.error());
  return reply->record();
}

Result<pb::DiskRecord> change_alone(Context& context, DiskId disk,
                                    const pb::ChangeDiskRequest& request) {
  auto lease = AdminLease::take(context, disk);
  if (!lease) return lease.error();
  const DiskEntry& entry = (*lease)->entry();
  auto changed = apply_change(entry.record, request);
  if (!changed) return changed.error();
  Catalog& catalog = context.catalog();
  if (changed->size() == entry.record.size()) {
    auto updated = context.ask(catalog.update_disk((*lease)->lease(), entry, *changed));
    if (!updated) return updated.error();
    return updated->record;
  }
  // What was cut off once may not come back, and what comes now may not be taken for it.
  auto clear = context.ask(catalog.nothing_to_delete_beyond(entry.record));
  if (!clear) return clear.error();
  const Geometry from{entry.record.size(), entry.record.block_size()};
  const Geometry to{changed->size(), changed->block_size()};
  const auto last = static_cast<std::uint32_t>(from.segment_count() - 1);
  auto loaded = context.ask(catalog.load_segment(disk, last));
  if (!loaded) return loaded.error();
  auto sound = check_segment(loaded->segment, from);
  if (!sound) return sound.error();
  std::vector<SegmentEntry> segments;
  auto grown = grow_map(loaded->segment, from, to);
  changed = with_pending(*changed, {loaded->segment}, grown);
  for (pb::MapSegment& segment : grown) {
    const std::int32_t version = segments.empty() ? loaded->version : -1;
    segments.push_back({std::move(segment), version});
  }
  auto updated =
      context.ask(catalog.update_disk_and_map((*lease)->lease(), entry, *changed, segments));
  if (!updated) return updated.error();
  return updated->record;
}

Result<> yield(Context& context, const pb::HostRecord& host, const pb::DiskRecord& record,
               bool for_delete) {
  pb::YieldLeaseRequest request;
  request.set_disk_id(record.id());
  request.set_asked_by(context.environment().identity);
  request.set_for_delete(for_delete);
  auto reply = sync_wait(context.calls().yield_lease(host, request));
  if (!reply) return host_error(host, reply.error());
  return {};
}

struct OpenCount {
  pb::HostRecord host;
  Result<pb::DiskStatusReply> reply;
};

Task<OpenCount> ask_open(DaemonCalls& calls, pb::HostRecord host, pb::DiskStatusRequest request) {
  OpenCount count{host, Error{Code::unreachable, "no answer"}};
  count.reply = co_await calls.disk_status(host, request);
  co_return count;
}

Task<std::vector<OpenCount>> ask_all_open(DaemonCalls& calls, std::vector<pb::HostRecord> hosts,
                                          pb::DiskStatusRequest request) {
  std::vector<Task<OpenCount>> asked;
  for (const pb::HostRecord& host : hosts) asked.push_back(ask_open(calls, host, request));
  std::vector<OpenCount> counts = co_await gather(std::move(asked));
  co_return counts;
}

/// Readers have a disk open without its lease: every host must be asked.
Result<> refuse_if_open(Context& context, const pb::DiskRecord& record) {
  auto hosts = load_hosts(context);
  if (!hosts) return hosts.error();
  pb::DiskStatusRequest request;
  request.add_disk_ids(record.id());
  for (const auto& count : sync_wait(ask_all_open(context.calls(), *hosts, request))) {
    if (count.reply.failed_with(Code::not_found)) continue;
    if (!count.reply) return host_error(count.host, count.reply.error());
    for (const pb::DiskStatusInfo& disk : count.reply->disks()) {
      if (disk.disk_id() != record.id() || disk.readers() + disk.writers() == 0) continue;
      return Error{Code::busy,
                   fmt::format("disk {} is open on host {}", record.name(), count.host.id())};
    }
  }
  return {};
}

using ClosedWork = std::function<Result<>(AdminLease&)>;

/// One attempt to do `work` while nobody has the disk open. `*passing`: what stood in the way may
/// go by itself.
Result<> once_while_closed(Context& context, const pb::DiskRecord& record, const ClosedWork& work,
                           bool* passing) {
  *passing = false;
  auto id = DiskId::parse(record.id());
  if (!id) return id.error();
  auto holder = find_holder(context, *id);
  if (!holder) return holder.error();
  if (holder->host) {
    auto yielded = yield(context, *holder->host, record, true);
    *passing = !yielded && is_silent(yielded.error());
    if (!yielded) return yielded.error();
  } else if (holder->lease) {
    *passing = true;
    return held_by_other(record, *holder->lease);
  }
  auto lease = AdminLease::take(context, *id);
  *passing = lease.failed_with(Code::busy) || lease.failed_with(Code::stale);
  if (!lease) return lease.error();
  auto closed = refuse_if_open(context, record);
  *passing = !closed && is_silent(closed.error());
  if (!closed) return closed.error();
  auto done = work(**lease);
  *passing = done.failed_with(Code::stale);
  return done;
}

Result<> while_closed(Context& context, const pb::DiskRecord& record, const ClosedWork& work) {
  bool passing = false;
  for (Patience patience(context);;) {
    auto done = once_while_closed(context, record, work, &passing);
    if (done || !passing || !patience.again()) return done;
  }
}

Result<> refuse_jobs(Context& context, DiskId disk, const std::string& name) {
  auto jobs = context.ask(context.jobs().of_disk(disk));
  if (!jobs) return jobs.error();
  for (const JobEntry& job : *jobs) {
    if (has_ended(job.record)) continue;
    return Error{Code::busy, fmt::format("job {} works on disk {}", job.record.id(), name)};
  }
  return {};
}

/// The first host that does the work; unreachable ones are passed over.
Result<> at_any_host(Context& context, const pb::DiskRecord& record,
                     const std::function<Result<>(const pb::HostRecord&)>& work) {
  auto hosts = load_hosts(context);
  if (!hosts) return hosts.error();
  Result<> result = Error{Code::unreachable,
                          fmt::format("no ukaid runs that could work on disk {}", record.name())};
  for (const pb::HostRecord& host : *hosts) {
    result = work(host);
    if (!result.failed_with(Code::unreachable)) return result;
  }
  return result;
}

}  // namespace

Result<Holder> find_holder(Context& context, DiskId disk) {
  Holder holder;
  auto lease = context.ask(context.catalog().lease_of(disk));
  if (!lease) return lease.error();
  if (!*lease) return holder;
  holder.lease = **lease;
  if (holder.lease->record.kind() == pb::LeaseRecord::ADMIN) return holder;
  auto host = context.ask(context.catalog().host(HostId(holder.lease->record.holder())));
  if (host) {
    holder.host = *host;
  } else if (host.code() != Code::not_found) {
    return host.error();
  }
  return holder;
}

std::optional<pb::DiskStatusInfo> holder_status(Context& context, const Holder& holder,
                                                const std::string& disk_id) {
  if (!holder.host) return std::nullopt;
  pb::DiskStatusRequest request;
  request.add_disk_ids(disk_id);
  auto reply = sync_wait(context.calls().disk_status(*holder.host, request));
  if (!reply) return std::nullopt;
  for (const pb::DiskStatusInfo& disk : reply->disks()) {
    if (disk.disk_id() == disk_id) return disk;
  }
  return std::nullopt;
}

Result<std::unique_ptr<AdminLease>> AdminLease::take(Context& context, DiskId disk) {
  auto taken = context.ask(
      context.catalog().take_lease(disk, context.environment().identity, pb::LeaseRecord::ADMIN));
  if (!taken) return taken.error();
  return std::unique_ptr<AdminLease>(new AdminLease(context, std::move(*taken)));
}

AdminLease::~AdminLease() {
  if (!held_) return;
  // A lease that cannot be given back ends with our session, a moment later.
  (void)sync_wait(context_.catalog().release_lease(taken_.lease)).ok();
}

Result<Changed> change_disk(Context& context, const std::string& name,
                            pb::ChangeDiskRequest request) {
  auto entry = load_disk(context, name);
  if (!entry) return entry.error();
  request.set_disk_id(entry->record.id());
  // 1. Bad input and what is so already disturb nobody.
  auto wanted = apply_change(entry->record, request);
  if (!wanted) return wanted.error();
  if (google::protobuf::util::MessageDifferencer::Equals(*wanted, entry->record)) {
    return Changed{entry->record, false};
  }
  // 2. The holder changes it, or we do.
  auto changed = change_through(context, entry->record, request, &change_alone);
  if (!changed) return changed.error();
  return Changed{*changed, true};
}

Result<pb::DiskRecord> change_through(Context& context, const pb::DiskRecord& record,
                                      const pb::ChangeDiskRequest& request, ChangeAlone alone) {
  auto id = DiskId::parse(record.id());
  if (!id) return id.error();
  for (Patience patience(context);;) {
    auto holder = find_holder(context, *id);
    if (!holder) return holder.error();
    Result<pb::DiskRecord> changed = record;
    if (holder->host) {
      changed = change_at_host(context, *holder->host, request);
    } else if (holder->lease) {
      changed = held_by_other(record, *holder->lease);
    } else {
      changed = alone(context, *id, request);
    }
    if (changed) return changed;
    const bool busy = changed.failed_with(Code::busy) && !holder->host;
    const bool silent = is_silent(changed.error()) && holder->host;
    const bool moved = busy || silent || changed.failed_with(Code::stale);
    if (!moved || !patience.again()) return changed.error();
  }
}

Result<> delete_disk(Context& context, const DiskEntry& entry) {
  return while_closed(context, entry.record, [&](AdminLease& lease) -> Result<> {
    auto deleted = context.ask(context.catalog().delete_disk(lease.lease(), lease.entry()));
    if (!deleted) return deleted.error();
    lease.ended();
    return {};
  });
}

Result<pb::DiskRecord> shrink_disk(Context& context, const DiskEntry& entry,
                                   std::uint64_t size_bytes) {
  // 1. Bad input disturbs nobody.
  auto possible = shrunk(entry.record, size_bytes);
  if (!possible) return possible;
  pb::DiskRecord record;
  auto done = while_closed(context, entry.record, [&](AdminLease& lease) -> Result<> {
    const DiskEntry& now = lease.entry();
    auto idle = refuse_jobs(context, lease.lease().disk, now.record.name());
    if (!idle) return idle;
    auto segments = load_map(context, now.record, all_blocks(now.record));
    if (!segments) return segments.error();
    // 2. Record, map and the orders to delete what is cut off, on nodes that are down as well, are
    //    one transaction. Nothing is under way at any node: the orders hold at once.
    auto cut = cut_off(now.record, *segments, size_bytes);
    if (!cut) return cut.error();
    Catalog& catalog = context.catalog();
    pb::MapSegment& last = cut->segments.front();
    auto version = context.ask(catalog.load_segment(lease.lease().disk, last.segment()));
    if (!version) return version.error();
    auto orders = delete_orders(*cut, lease.lease().epoch);
    for (Catalog::Order& order : orders) order.record.set_released(true);
    auto updated = context.ask(catalog.shrink_disk(lease.lease(), now, cut->record,
                                                   {std::move(last), version->version}, orders));
    if (!updated) return updated.error();
    record = std::move(updated->record);
    return {};
  });
  if (!done) return done.error();
  return record;
}

Result<std::unique_ptr<AdminLease>> take_idle_lease(Context& context,
                                                    const pb::DiskRecord& record) {
  auto id = DiskId::parse(record.id());
  if (!id) return id.error();
  for (Patience patience(context);;) {
    auto holder = find_holder(context, *id);
    if (!holder) return holder.error();
    Error error{Code::busy, ""};
    bool passing = true;
    if (holder->host) {
      auto yielded = yield(context, *holder->host, record, false);
      if (!yielded) error = yielded.error();
      passing = yielded || is_silent(yielded.error());
    } else if (holder->lease) {
      error = held_by_other(record, *holder->lease);
    }
    if (holder->lease && !error.what.empty()) {
      if (!passing || !patience.again()) return error;
      continue;
    }
    auto lease = AdminLease::take(context, *id);
    const bool raced = lease.failed_with(Code::busy) || lease.failed_with(Code::stale);
    if (lease || !raced || !patience.again()) return lease;
  }
}

Result<> at_some_host(Context& context, const pb::DiskRecord& record,
                      const std::function<Result<>(const pb::HostRecord&)>& work) {
  auto id = DiskId::parse(record.id());
  if (!id) return id.error();
  for (Patience patience(context);;) {
    auto holder = find_holder(context, *id);
    if (!holder) return holder.error();
    Result<> done;
    if (holder->host) {
      done = work(*holder->host);
      if (!done.failed_with(Code::stale) && !done.failed_with(Code::unreachable)) return done;
    } else if (holder->lease) {
      done = held_by_other(record, *holder->lease);
    } else {
      done = at_any_host(context, record, work);
      if (!done.failed_with(Code::stale) && !done.failed_with(Code::busy)) return done;
    }
    if (!patience.again()) return done;
  }
}

Error host_error(const pb::HostRecord& host, const Error& error) {
  const bool silent = error.code == Code::unreachable || error.code == Code::unknown;
  if (!silent) return error;
  return {error.code,
          fmt::format("host {} at {}: {}", host.id(), host.control_address(), error.what)};
}

}  // namespace ukai::ctl
