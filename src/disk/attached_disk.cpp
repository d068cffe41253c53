// SPDX-License-Identifier: BSD-2-Clause
#include "disk/attached_disk.h"

#include <fmt/format.h>

#include "base/log.h"

namespace ukai {
namespace {

using namespace std::chrono_literals;
constexpr Duration short_pause = 20ms;
constexpr int admin_tries_max = 100;  // an ADMIN lease lasts milliseconds

}  // namespace

AttachedDisk::AttachedDisk(DiskServices services, DiskOptions options, HostPeers& peers,
                           DiskEntry entry)
    : services_(services),
      options_(std::move(options)),
      peers_(peers),
      id_(*DiskId::parse(entry.record.id())),
      heat_(entry.record.size(), entry.record.block_size()),
      record_(std::move(entry.record)) {}

std::shared_ptr<Disk> AttachedDisk::current() {
  std::lock_guard lock(mutex_);
  return disk_ && !disk_->stopped() ? disk_ : nullptr;
}

pb::DiskRecord AttachedDisk::record() {
  if (auto disk = current()) return disk->record();
  std::lock_guard lock(mutex_);
  return record_;
}

void AttachedDisk::opening(OpenMode mode) {
  std::lock_guard lock(mutex_);
  (mode == OpenMode::read_write ? opening_writers_ : readers_) += 1;
}

void AttachedDisk::not_opened(OpenMode mode) {
  {
    std::lock_guard lock(mutex_);
    (mode == OpenMode::read_write ? opening_writers_ : readers_) -= 1;
  }
  release_later();
}

std::uint64_t AttachedDisk::opened(OpenMode mode) {
  std::lock_guard lock(mutex_);
  if (mode == OpenMode::read_write) {
    opening_writers_ -= 1;
    writers_ += 1;
  }
  return writer_era_;
}

void AttachedDisk::closed(OpenMode mode, std::uint64_t era) {
  {
    std::lock_guard lock(mutex_);
    if (mode != OpenMode::read_write) {
      readers_ -= 1;
    } else if (era == writer_era_) {
      writers_ -= 1;
    }
  }
  release_later();
}

void AttachedDisk::release_later() {
  {
    std::lock_guard lock(mutex_);
    if (users_locked() > 0) return;
  }
  services_.scheduler.after(options_.lease_linger,
                            [self = shared_from_this()] { spawn(self->release_if_idle()); });
}

std::uint32_t AttachedDisk::open_elsewhere(std::uint32_t own) {
  std::lock_guard lock(mutex_);
  return users_locked() - std::min(own, users_locked());
}

bool AttachedDisk::idle() {
  std::lock_guard lock(mutex_);
  return users_locked() == 0 && !disk_;
}

void AttachedDisk::nodes_changed() {
  if (auto disk = current()) disk->nodes_changed();
}

void AttachedDisk::kill_writers_locked() {
  if (!std::exchange(served_, false)) return;
  ++writer_era_;
  writers_ = 0;
  owed_ = {};
}

/// Another guest may have written between our last grant and this one. Jobs and administrators that
/// had the lease in between change no data.
void AttachedDisk::note_taken(const Catalog::Taken& taken) {
  std::lock_guard lock(mutex_);
  if (taken.guest_before > record_.epoch()) kill_writers_locked();
  record_ = taken.entry.record;
}

Owed AttachedDisk::owed() {
  std::lock_guard lock(mutex_);
  return owed_;
}

void AttachedDisk::keep_owed(Disk& over) {
  std::lock_guard lock(mutex_);
  owed_ = over.owed();
}

/// Somebody else holds it, and may be writing.
void AttachedDisk::note_refused() {
  std::lock_guard lock(mutex_);
  kill_writers_locked();
}

/// Somebody holds the lease. Nothing: try again. Errors: busy.
Task<Result<std::optional<Catalog::Taken>>> AttachedDisk::resolve_busy(Error busy,
                                                                       Purpose purpose) {
  auto info = co_await services_.catalog.lease_of(id_);
  if (!info) co_return info.error();
  std::optional<Catalog::Taken> again;
  if (!*info) co_return again;
  const pb::LeaseRecord& lease = (*info)->record;
  if (lease.holder() == options_.host.str()) {
    // Our own, of an earlier session or an earlier process: the state folder's lock says that is
    // gone.
    auto broken = co_await services_.catalog.break_lease(id_, (*info)->stat.created_zxid);
    if (!broken && !broken.failed_with(Code::stale)) co_return broken.error();
    co_return again;
  }
  if (lease.kind() == pb::LeaseRecord::ADMIN) {
    co_await sleep_for(services_.scheduler, short_pause);
    co_return again;
  }
  if (purpose == Purpose::job) co_return busy;
  const HostId holder_id(lease.holder());
  auto holder = co_await services_.catalog.host(holder_id);
  if (!holder) co_return busy;
  pb::YieldLeaseRequest request;
  request.set_disk_id(id_.to_string());
  request.set_asked_by(options_.host.str());
  auto yielded = co_await peers_.yield_lease(*holder, std::move(request));
  if (!yielded) co_return busy;
  co_return again;
}

Task<Result<Catalog::Taken>> AttachedDisk::take_lease(Purpose purpose) {
  const auto kind = purpose == Purpose::guest ? pb::LeaseRecord::GUEST : pb::LeaseRecord::JOB;
  Error last{Code::busy, "the disk's lease does not come free"};
  for (int i = 0; i < admin_tries_max; ++i) {
    auto taken = co_await services_.catalog.take_lease(id_, options_.host.str(), kind);
    if (taken.ok() || !taken.failed_with(Code::busy)) co_return taken;
    last = taken.error();
    auto resolved = co_await resolve_busy(last, purpose);
    if (!resolved) co_return resolved.error();
  }
  co_return last;
}

/// The answer that needs no change of who holds the lease; null: one is needed.
Result<std::shared_ptr<Disk>> AttachedDisk::held_now(std::optional<std::uint64_t> writer_era) {
  std::lock_guard lock(mutex_);
  if (writer_era && *writer_era != writer_era_) {
    return Error{Code::stale, "another host has taken this disk over; this handle is dead"};
  }
  return disk_ && !disk_->stopped() ? disk_ : nullptr;
}

/// A grant may be over before it has begun to serve; only a dead handle is refused for good.
Task<Result<std::shared_ptr<Disk>>> AttachedDisk::hold(std::optional<std::uint64_t> writer_era,
                                                       Purpose purpose) {
  auto now = held_now(writer_era);
  if (!now) co_return now;
  const bool fits = *now && (purpose != Purpose::guest || (*now)->serves_guest());
  if (fits) co_return now;  // the way of almost every request
  const auto self = shared_from_this();
  for (;;) {
    auto held = co_await hold_once(writer_era, purpose);
    if (!held.failed_with(Code::stale) || !held_now(writer_era)) co_return held;
    co_await sleep_for(services_.scheduler, short_pause);
  }
}

Task<Result<std::shared_ptr<Disk>>> AttachedDisk::hold_once(std::optional<std::uint64_t> writer_era,
                                                            Purpose purpose) {
  auto guard = co_await transition_.lock();
  auto now = held_now(writer_era);
  if (!now) co_return now;
  if (*now && purpose == Purpose::guest) co_return co_await as_guest(*now);
  if (*now) co_return now;
  std::shared_ptr<Disk> old;
  {
    std::lock_guard lock(mutex_);
    old = std::exchange(disk_, nullptr);
    lease_watch_.reset();
  }
  if (old) {
    const Error over{Code::stale, "the lease was lost"};
    co_await old->abandon(over);
    keep_owed(*old);
  }
  if (co_await services_.clock.wait_session() == 0) {
    co_return Error{Code::shut_down, "the daemon is stopping"};
  }
  auto taken = co_await take_lease(purpose);
  if (taken.failed_with(Code::busy) && purpose == Purpose::guest) note_refused();
  if (!taken) co_return taken.error();
  note_taken(*taken);
  auto disk = std::make_shared<Disk>(services_, options_, *taken, owed());
  auto started = co_await disk->start();
  if (!started) {
    co_await disk->abandon(started.error());
    keep_owed(*disk);
    auto released = co_await services_.catalog.release_lease(taken->lease);
    if (!released) log::warn("event=release_failed what=\"{}\"", released.error().what);
    co_return started.error();
  }
  log::info("event=lease_taken disk={} epoch={}", taken->entry.record.name(),
            raw(taken->lease.epoch));
  {
    std::lock_guard lock(mutex_);
    disk_ = disk;
    served_ = true;
    owed_ = {};
  }
  watch_lease(disk);
  now = held_now(writer_era);
  if (!now) release_later();  // taken for a handle that is dead, as it turns out
  co_return now;
}

/// The lease was taken for a job, say, and now a guest is to write under it.
Task<Result<std::shared_ptr<Disk>>> AttachedDisk::as_guest(std::shared_ptr<Disk> held) {
  auto done = co_await held->begin_guest();
  if (!done) co_return done.error();
  co_return held;
}

/// The lease may be broken by force while we are alive: the watch tells at once.
void AttachedDisk::watch_lease(const std::shared_ptr<Disk>& disk) {
  std::weak_ptr<Disk> weak = disk;
  auto changed = [weak] {
    if (auto held = weak.lock()) spawn(Disk::verify_lease(held));
  };
  auto watch = services_.catalog.coordination().watch(Catalog::lease_path(id_), false, changed);
  std::lock_guard lock(mutex_);
  lease_watch_ = std::move(watch);
}

Task<Result<AttachedDisk::Place>> AttachedDisk::place() {
  Place place;
  place.here = current();
  if (place.here) co_return place;
  auto held = co_await hold(std::nullopt);
  if (held.ok()) {
    place.here = *held;
    co_return place;
  }
  if (!held.failed_with(Code::busy)) co_return held.error();
  auto info = co_await services_.catalog.lease_of(id_);
  if (!info) co_return info.error();
  if (!*info) co_return held.error();
  const HostId holder((*info)->record.holder());
  auto host = co_await services_.catalog.host(holder);
  if (!host) co_return host.error();
  place.there = *host;
  co_return place;
}

Task<void> AttachedDisk::release_locked() {
  std::shared_ptr<Disk> disk;
  {
    std::lock_guard lock(mutex_);
    disk = std::exchange(disk_, nullptr);
    lease_watch_.reset();
    if (disk) record_ = disk->record();
    served_ = false;  // nobody writes, or nobody will any more
    owed_ = {};
  }
  if (!disk) co_return;
  const bool was_stopped = disk->stopped();
  const bool clean = !was_stopped && co_await disk->finish();
  if (was_stopped) {
    const Error over{Code::stale, "the lease was given back"};
    co_await disk->abandon(over);
  }
  auto released = co_await services_.catalog.release_lease(disk->lease());
  // A lease that stays behind would keep every other host out for as long as our session lives.
  while (!released &&
         (released.failed_with(Code::unreachable) || released.failed_with(Code::unknown))) {
    if (co_await services_.clock.wait_session() != disk->lease().session_id) break;
    released = co_await services_.catalog.release_lease(disk->lease());
  }
  log::info("event=lease_released disk={} epoch={} clean={} released={}", disk->record().name(),
            raw(disk->lease().epoch), clean, released.ok());
}

Task<void> AttachedDisk::release_if_idle() {
  const auto self = shared_from_this();
  auto guard = co_await transition_.lock();
  {
    std::lock_guard lock(mutex_);
    if (users_locked() > 0) co_return;
    if (options_.auto_heal && disk_ && !disk_->stopped() && disk_->degraded()) {
      // Nobody else would heal it. Whoever wants the disk meanwhile gets it at once (yield).
      services_.scheduler.after(options_.lease_linger, [self] { spawn(self->release_if_idle()); });
      co_return;
    }
  }
  co_await release_locked();
}

Task<Result<>> AttachedDisk::yield(bool for_delete) {
  const auto self = shared_from_this();
  auto guard = co_await transition_.lock();
  {
    std::lock_guard lock(mutex_);
    const std::uint32_t writers = opening_writers_ + writers_;
    if (writers > 0 || (for_delete && readers_ > 0)) {
      co_return Error{Code::busy,
                      fmt::format("disk {} is open on host {} ({} writers, {} readers)",
                                  record_.name(), options_.host.str(), writers, readers_)};
    }
  }
  co_await release_locked();
  co_return Unit{};
}

/// Takes the lease for the time that healing needs, when nobody else holds it.
Task<void> AttachedDisk::heal_unattended() {
  const auto self = shared_from_this();
  opening(OpenMode::read_only);
  auto held = co_await hold(std::nullopt, Purpose::job);
  not_opened(OpenMode::read_only);
  if (!held && !held.failed_with(Code::busy)) {
    log::info("event=heal_put_off disk={} what=\"{}\"", record().name(), held.error().what);
  }
}

Task<void> AttachedDisk::shut_down() {
  const auto self = shared_from_this();
  auto guard = co_await transition_.lock();
  co_await release_locked();
}

pb::DiskStatusInfo AttachedDisk::status() {
  pb::DiskStatusInfo info;
  if (auto disk = current()) info = disk->status();
  std::lock_guard lock(mutex_);
  if (info.disk_id().empty()) {
    info.set_disk_id(id_.to_string());
    info.set_name(record_.name());
    info.set_epoch(record_.epoch());
  }
  heat_.report(info);
  info.set_readers(readers_);
  info.set_writers(writers_);
  return info;
}

}  // namespace ukai
