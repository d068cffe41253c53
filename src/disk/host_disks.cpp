// SPDX-License-Identifier: BSD-2-Clause
#include "disk/host_disks.h"

#include <fmt/format.h>

#include <algorithm>
#include <atomic>
#include <cstring>
#include <map>

#include "base/log.h"
#include "base/version.h"
#include "disk/attached_disk.h"
#include "disk/error_log.h"
#include "disk/job_runner.h"
#include "disk/lease_clock.h"
#include "disk/snapshot_group.h"
#include "disk/usage_cache.h"
#include "ukai/history.h"

namespace ukai {
namespace {

using namespace std::chrono_literals;
constexpr Duration shut_down_patience = 5s;
constexpr Duration sweep_delay = 2s;  // whoever has the disk open heals it before that

class RealHostDisks final : public HostDisks, private JobHost {
 public:
  RealHostDisks(HostServices services, DiskOptions options)
      : services_(services),
        options_(std::move(options)),
        clock_(services.catalog.coordination(), services.scheduler),
        usage_(services.catalog, services.nodes, services.scheduler),
        jobs_(services.catalog, services.scheduler, *this),
        started_(services.scheduler.now()),
        subscription_(
            services.nodes.subscribe([this](const NodeId& node) { node_changed(node); })) {}

  Task<Result<std::vector<DiskName>>> list() override { return services_.catalog.disk_names(); }
  Task<Result<std::vector<DiskName>>> list_snapshots() override {
    return snapshot_names(services_.catalog);
  }
  Task<Result<DiskAttributes>> stat(DiskName name) override;
  Task<Result<std::shared_ptr<OpenDisk>>> open(DiskName name, OpenMode mode) override;
  Task<Result<std::shared_ptr<OpenDisk>>> resume(pb::OpenState state) override;
  Task<Result<StoreSpace>> space() override { return usage_.space(); }

  Task<Result<pb::ChangeDiskReply>> change_disk(pb::ChangeDiskRequest request) override;
  Task<Result<pb::TakeSnapshotsReply>> take_snapshots(pb::TakeSnapshotsRequest request) override;
  Task<Result<pb::CloneDiskReply>> clone_disk(pb::CloneDiskRequest request) override;
  Task<Result<>> diff_disk(pb::DiffDiskRequest request,
                           std::function<bool(const pb::DiffProgress&)> progress) override;
  Task<Result<pb::YieldLeaseReply>> yield_lease(pb::YieldLeaseRequest request) override;
  Task<Result<pb::DiskStatusReply>> disk_status(pb::DiskStatusRequest request) override;
  Task<Result<pb::HostStatusReply>> host_status() override;
  Task<Result<>> verify_disk(pb::VerifyDiskRequest request,
                             std::function<bool(const pb::VerifyProgress&)> progress) override;
  Task<Result<>> scrub_disk(pb::ScrubDiskRequest request,
                            std::function<bool(const pb::ScrubProgress&)> progress) override;
  void serve_reader(IoRequest request, std::function<void(IoReply)> done) override;
  void run_jobs() override { jobs_.start(); }
  Task<void> shut_down() override;

 private:
  using Attached = std::shared_ptr<AttachedDisk>;  // shared: handles and timers hold on to it

  DiskServices disk_services() {
    return {services_.catalog, services_.nodes, services_.scheduler, clock_, errors_};
  }
  Attached find(DiskId id);
  Attached attach(DiskEntry entry);
  Task<Result<Attached>> attach_by_id(std::string id);
  Task<Result<BorrowedDisk>> borrow(std::string id, Purpose purpose);
  Task<Result<std::shared_ptr<OpenDisk>>> open_handle(Attached attached, OpenMode mode,
                                                      std::optional<Purpose> holding);
  Task<Result<std::shared_ptr<OpenDisk>>> open_snapshot(DiskEntry entry, SnapshotName name,
                                                        OpenMode mode);
  std::vector<Attached> all();
  void node_changed(const NodeId& node);
  void sweep_soon();
  Task<void> sweep();
  bool can_be_healed(const pb::DiskRecord& record) const;
  static Task<void> serve(std::shared_ptr<Disk> disk, IoRequest request,
                          std::function<void(IoReply)> done);
  // -- what the runner of jobs asks
  HostId host_id() const override { return options_.host; }
  bool holds(DiskId disk) override;
  Task<Result<BorrowedDisk>> borrow_for_job(DiskId disk) override;

  HostServices services_;
  DiskOptions options_;
  ErrorLog errors_;
  LeaseClock clock_;
  UsageCache usage_;
  JobRunner jobs_;
  const TimePoint started_;
  std::mutex mutex_;
  std::map<DiskId, Attached> attached_;  // by mutex_
  Scheduler::TimerId sweep_timer_{};     // by mutex_
  TaskScope tasks_;
  std::atomic<bool> sweep_due_{false};
  std::unique_ptr<NodeDirectory::Subscription> subscription_;
};

RealHostDisks::Attached RealHostDisks::find(DiskId id) {
  std::lock_guard lock(mutex_);
  const auto found = attached_.find(id);
  return found == attached_.end() ? nullptr : found->second;
}

RealHostDisks::Attached RealHostDisks::attach(DiskEntry entry) {
  const DiskId id = *DiskId::parse(entry.record.id());
  std::lock_guard lock(mutex_);
  // Whoever nobody uses any more is dropped here: attaching is rare enough to look through all.
  std::erase_if(attached_, [&](const auto& item) {
    return item.first != id && item.second.use_count() == 1 && item.second->idle();
  });
  Attached& slot = attached_[id];
  if (!slot) {
    slot = std::make_shared<AttachedDisk>(disk_services(), options_, services_.peers,
                                          std::move(entry));
  }
  return slot;
}

Task<Result<RealHostDisks::Attached>> RealHostDisks::attach_by_id(std::string id) {
  auto disk = DiskId::parse(id);
  if (!disk) co_return disk.error();
  if (auto attached = find(*disk)) co_return attached;
  auto entry = co_await services_.catalog.load_disk(*disk);
  if (!entry) co_return entry.error();
  co_return attach(std::move(*entry));
}

std::vector<RealHostDisks::Attached> RealHostDisks::all() {
  std::vector<Attached> out;
  std::lock_guard lock(mutex_);
  for (const auto& [id, attached] : attached_) out.push_back(attached);
  return out;
}

void RealHostDisks::node_changed(const NodeId& node) {
  for (const Attached& attached : all()) attached->nodes_changed();
  const auto found = services_.nodes.find(node);
  if (options_.auto_heal && found && found->alive) sweep_soon();
}

/// A node has come back: disks that nobody has open may have been waiting for it.
void RealHostDisks::sweep_soon() {
  if (sweep_due_.exchange(true)) return;
  std::lock_guard lock(mutex_);
  sweep_timer_ = services_.scheduler.after(sweep_delay, [this] { tasks_.spawn(sweep()); });
}

bool RealHostDisks::can_be_healed(const pb::DiskRecord& record) const {
  const auto& members = record.members();
  const auto runs = [&](const pb::Member& member) {
    const auto found = services_.nodes.find(NodeId(member.node()));
    return found && found->alive;
  };
  // Who is up to date is found out as soon as all can be asked.
  if (record.unproven()) return std::all_of(members.begin(), members.end(), runs);
  return std::any_of(members.begin(), members.end(),
                     [&](const auto& member) { return member.missing() && runs(member); });
}

Task<void> RealHostDisks::sweep() {
  sweep_due_ = false;
  auto names = co_await services_.catalog.disk_names();
  if (!names) co_return;
  for (const DiskName& name : *names) {
    auto id = co_await services_.catalog.find_disk(name);
    if (!id) continue;
    auto entry = co_await services_.catalog.load_disk(*id);
    if (!entry || !can_be_healed(entry->record)) continue;
    const auto attached = attach(std::move(*entry));
    co_await attached->heal_unattended();
  }
}

Task<Result<DiskAttributes>> RealHostDisks::stat(DiskName name) {
  auto parts = parse_snapshot_name(name.str());
  if (!parts) co_return parts.error();
  auto id = co_await services_.catalog.find_disk(parts->disk);
  if (!id) co_return id.error();
  pb::DiskRecord record;
  const auto attached = find(*id);
  const auto held = attached ? attached->current() : nullptr;
  if (held) {
    record = held->record();
  } else {
    auto entry = co_await services_.catalog.load_disk(*id);
    if (!entry) co_return entry.error();
    record = std::move(entry->record);
  }
  DiskAttributes out;
  out.id = *id;
  out.name = parts->disk;
  out.size_bytes = record.size();
  out.block_size_bytes = record.block_size();
  out.created_unix_s = record.created_unix_s();
  if (!parts->snapshot.empty()) {
    const pb::Snapshot* snapshot = find_snapshot(record, parts->snapshot);
    if (snapshot == nullptr) co_return no_snapshot(*parts);
    out = snapshot_attributes(std::move(out), *snapshot);
  }
  out.allocated_bytes = co_await usage_.allocated_bytes(std::move(record));
  co_return out;
}

Task<Result<std::shared_ptr<OpenDisk>>> RealHostDisks::open_snapshot(DiskEntry entry,
                                                                     SnapshotName name,
                                                                     OpenMode mode) {
  const pb::Snapshot* found = find_snapshot(entry.record, name.snapshot);
  if (found == nullptr) co_return no_snapshot(name);
  if (mode == OpenMode::read_write) {
    co_return Error{Code::refused, "a snapshot does not change: clone it"};
  }
  const pb::Snapshot snapshot = *found;
  const auto attached = attach(std::move(entry));
  attached->opening(mode);
  std::shared_ptr<OpenDisk> handle =
      std::make_shared<DiskHandle>(attached, attached->opened(mode, false), disk_services(),
                                   options_, services_.peers, snapshot);
  co_return handle;
}

Task<Result<std::shared_ptr<OpenDisk>>> RealHostDisks::open(DiskName name, OpenMode mode) {
  auto parts = parse_snapshot_name(name.str());
  if (!parts) co_return parts.error();
  auto id = co_await services_.catalog.find_disk(parts->disk);
  if (!id) co_return id.error();
  auto entry = co_await services_.catalog.load_disk(*id);
  if (!entry) co_return entry.error();
  if (!parts->snapshot.empty()) {
    co_return co_await open_snapshot(std::move(*entry), std::move(*parts), mode);
  }
  if (mode == OpenMode::read_write && !may_write(entry->record, options_.host)) {
    co_return Error{Code::refused, fmt::format("host {} is not allowed to write disk {}",
                                               options_.host.str(), name.str())};
  }
  const pb::DiskRecord record = entry->record;
  const auto attached = attach(std::move(*entry));
  if (mode == OpenMode::read_only) co_return co_await open_handle(attached, mode, std::nullopt);
  auto handle = co_await open_handle(attached, mode, Purpose::guest);
  if (!handle.failed_with(Code::busy)) co_return handle;
  // The destination of a live migration opens the disk while its source still runs.
  const bool waits = co_await attached->may_wait(record);
  if (!waits) co_return handle;
  co_return co_await open_handle(attached, mode, std::nullopt);
}

Task<Result<std::shared_ptr<OpenDisk>>> RealHostDisks::resume(pb::OpenState state) {
  auto attached = co_await attach_by_id(state.disk_id());
  if (!attached) co_return attached.error();
  std::optional<pb::Snapshot> snapshot;
  if (state.has_snapshot()) snapshot = state.snapshot();
  std::shared_ptr<OpenDisk> handle =
      std::make_shared<DiskHandle>(*attached, (*attached)->resumed(state), disk_services(),
                                   options_, services_.peers, std::move(snapshot));
  co_return handle;
}

/// The disk under a grant that stays as long as nobody else wants it.
Task<Result<BorrowedDisk>> RealHostDisks::borrow(std::string id, Purpose purpose) {
  auto attached = co_await attach_by_id(std::move(id));
  if (!attached) co_return attached.error();
  auto handle = co_await open_handle(*attached, OpenMode::read_only, purpose);
  if (!handle) co_return handle.error();
  auto disk = co_await (*attached)->hold(nullptr, purpose);
  if (!disk) co_return disk.error();
  co_return BorrowedDisk{*handle, *disk};
}

/// Counts the handle before the lease is taken, so that it is not given back in between.
Task<Result<std::shared_ptr<OpenDisk>>> RealHostDisks::open_handle(Attached attached, OpenMode mode,
                                                                   std::optional<Purpose> holding) {
  attached->opening(mode);
  if (holding) {
    auto held = co_await attached->hold(nullptr, *holding);
    if (!held) {
      attached->not_opened(mode);
      co_return held.error();
    }
  }
  std::shared_ptr<OpenDisk> handle =
      std::make_shared<DiskHandle>(attached, attached->opened(mode, holding.has_value()),
                                   disk_services(), options_, services_.peers);
  co_return handle;
}

Task<Result<pb::ChangeDiskReply>> RealHostDisks::change_disk(pb::ChangeDiskRequest request) {
  auto borrowed = co_await borrow(request.disk_id(), Purpose::operation);
  if (!borrowed) co_return borrowed.error();
  Disk& disk = *borrowed->disk;
  if (request.has_rollback()) {
    const auto attached = find(disk.id());
    const std::uint32_t open = attached ? attached->open_elsewhere(1) : 0;
    if (open > 0) {
      co_return Error{Code::busy, fmt::format("disk {} is open on host {}", disk.record().name(),
                                              options_.host.str())};
    }
  }
  auto record = co_await disk.change(std::move(request));
  if (!record) co_return record.error();
  pb::ChangeDiskReply reply;
  *reply.mutable_record() = *record;
  co_return reply;
}

Task<Result<pb::TakeSnapshotsReply>> RealHostDisks::take_snapshots(
    pb::TakeSnapshotsRequest request) {
  std::vector<BorrowedDisk> borrowed;
  std::vector<std::shared_ptr<Disk>> disks;
  for (const auto& one : request.snapshots()) {
    auto disk = co_await borrow(one.disk_id(), Purpose::operation);
    if (!disk) co_return disk.error();
    disks.push_back(disk->disk);
    borrowed.push_back(std::move(*disk));
  }
  co_return co_await ukai::take_snapshots(services_.scheduler, disks, std::move(request));
}

Task<Result<pb::CloneDiskReply>> RealHostDisks::clone_disk(pb::CloneDiskRequest request) {
  auto borrowed = co_await borrow(request.disk_id(), Purpose::operation);
  if (!borrowed) co_return borrowed.error();
  auto made = co_await ukai::clone_disk(services_.scheduler, borrowed->disk, std::move(request));
  if (!made) co_return made.error();
  pb::CloneDiskReply reply;
  *reply.mutable_record() = *made;
  co_return reply;
}

Task<Result<>> RealHostDisks::diff_disk(pb::DiffDiskRequest request,
                                        std::function<bool(const pb::DiffProgress&)> progress) {
  auto borrowed = co_await borrow(request.disk_id(), Purpose::operation);
  if (!borrowed) co_return borrowed.error();
  co_return co_await diff_states(borrowed->disk, std::move(request), std::move(progress));
}

Task<Result<pb::YieldLeaseReply>> RealHostDisks::yield_lease(pb::YieldLeaseRequest request) {
  auto id = DiskId::parse(request.disk_id());
  if (!id) co_return id.error();
  if (auto attached = find(*id)) {
    auto yielded = co_await attached->yield(std::move(request));
    if (!yielded) co_return yielded.error();
  }
  co_return pb::YieldLeaseReply();
}

Task<Result<pb::DiskStatusReply>> RealHostDisks::disk_status(pb::DiskStatusRequest request) {
  pb::DiskStatusReply reply;
  for (const Attached& attached : all()) {
    const std::string id = attached->id().to_string();
    const auto& wanted = request.disk_ids();
    if (!wanted.empty() && std::find(wanted.begin(), wanted.end(), id) == wanted.end()) continue;
    *reply.add_disks() = attached->status();
  }
  co_return reply;
}

Task<Result<pb::HostStatusReply>> RealHostDisks::host_status() {
  pb::HostStatusReply reply;
  reply.set_host_id(options_.host.str());
  reply.set_version(std::string(version_string));
  const auto up =
      std::chrono::duration_cast<std::chrono::seconds>(services_.scheduler.now() - started_);
  reply.set_uptime_s(static_cast<std::uint64_t>(up.count()));
  switch (services_.catalog.coordination().session_state()) {
    case SessionState::connecting:
      reply.set_metadata_state("connecting");
      break;
    case SessionState::connected:
      reply.set_metadata_state("connected");
      break;
    case SessionState::suspended:
      reply.set_metadata_state("suspended");
      break;
    case SessionState::expired:
      reply.set_metadata_state("expired");
      break;
  }
  auto nodes = co_await services_.catalog.nodes();
  if (nodes.ok()) {
    for (const NodeInfo& node : *nodes) {
      const auto found = services_.nodes.find(NodeId(node.record.id()));
      if (!found || !found->link) continue;
      const auto condition = found->link->condition();
      pb::NodeLinkStatus* out = reply.add_nodes();
      out->set_node(node.record.id());
      out->set_connected(condition.connected);
      out->set_latency_us(static_cast<std::uint64_t>(
          std::chrono::duration_cast<std::chrono::microseconds>(condition.latency).count()));
      out->set_last_error(condition.last_error);
      out->set_in_flight(condition.in_flight);
    }
  }
  for (pb::ErrorEntry& entry : errors_.entries()) *reply.add_errors() = std::move(entry);
  std::lock_guard lock(mutex_);
  reply.set_disks_attached(static_cast<std::uint32_t>(attached_.size()));
  co_return reply;
}

Task<Result<>> RealHostDisks::verify_disk(pb::VerifyDiskRequest request,
                                          std::function<bool(const pb::VerifyProgress&)> progress) {
  auto borrowed = co_await borrow(request.disk_id(), Purpose::operation);
  if (!borrowed) co_return borrowed.error();
  Disk& disk = *borrowed->disk;
  co_return co_await disk.verify(std::move(progress));
}

Task<Result<>> RealHostDisks::scrub_disk(pb::ScrubDiskRequest request,
                                         std::function<bool(const pb::ScrubProgress&)> progress) {
  auto borrowed = co_await borrow(request.disk_id(), Purpose::operation);
  if (!borrowed) co_return borrowed.error();
  Disk& disk = *borrowed->disk;
  co_return co_await disk.scrub(std::move(progress));
}

void RealHostDisks::serve_reader(IoRequest request, std::function<void(IoReply)> done) {
  const auto attached = find(request.disk);
  auto disk = attached ? attached->current() : nullptr;
  if (!disk) {
    done(IoReply::failed(Code::stale, "this host does not hold the disk's lease"));
    return;
  }
  spawn(serve(std::move(disk), std::move(request), std::move(done)));
}

Task<void> RealHostDisks::serve(std::shared_ptr<Disk> disk, IoRequest request,
                                std::function<void(IoReply)> done) {
  IoReply reply;
  const std::uint64_t size = disk->geometry().size_bytes;
  Disk::View at;
  if (request.generation != Generation{0}) at = request.generation;
  if (request.op == IoOp::read_disk) {
    const ByteRange range{std::min(request.offset_bytes, size),
                          std::min(request.offset_bytes + request.length_bytes, size)};
    if (!range.empty()) {
      auto data = co_await disk->read(range, at);
      if (data.ok()) {
        reply.data = std::move(*data);
      } else {
        reply = IoReply::failed(data.error());
      }
    }
  } else {
    auto found = co_await disk->seek(request.offset_bytes, request.length_bytes == 1, at);
    if (found.ok()) {
      std::string bytes(sizeof(std::uint64_t), '\0');
      std::memcpy(bytes.data(), &*found, sizeof(std::uint64_t));
      reply.data.append(Bytes::copy_of(bytes));
    } else {
      reply = IoReply::failed(found.error());
    }
  }
  done(std::move(reply));
}

bool RealHostDisks::holds(DiskId disk) {
  const auto attached = find(disk);
  return attached && attached->current();
}

Task<Result<BorrowedDisk>> RealHostDisks::borrow_for_job(DiskId disk) {
  return borrow(disk.to_string(), Purpose::job);
}

Task<void> RealHostDisks::shut_down() {
  subscription_.reset();
  // With ZooKeeper away, whoever waits for a session would wait for ever.
  const auto timer =
      services_.scheduler.after(shut_down_patience, [this] { spawn(clock_.stop()); });
  jobs_.ask_to_stop();
  for (const Attached& attached : all()) co_await attached->shut_down();
  co_await jobs_.stop();
  {
    std::lock_guard lock(mutex_);
    services_.scheduler.cancel(sweep_timer_);
  }
  co_await tasks_.close();
  if (services_.scheduler.cancel(timer)) co_await clock_.stop();
}

}  // namespace

std::unique_ptr<HostDisks> make_host_disks(HostServices services, DiskOptions options) {
  return std::make_unique<RealHostDisks>(services, std::move(options));
}

}  // namespace ukai
