// SPDX-License-Identifier: BSD-2-Clause
#include "disk/attached_disk.h"

#include <fmt/format.h>

#include "base/log.h"
#include "base/mutation.h"

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
      writers_changed_(services.scheduler),
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
  writers_changed_.notify();
  release_later();
}

std::shared_ptr<Writer> AttachedDisk::opened(OpenMode mode, bool granted) {
  if (mode == OpenMode::read_only) return nullptr;
  std::lock_guard lock(mutex_);
  opening_writers_ -= 1;
  return writers_.open(granted);
}

void AttachedDisk::closed(const std::shared_ptr<Writer>& writer) {
  {
    std::lock_guard lock(mutex_);
    if (writer) {
      writers_.close(*writer);
    } else {
      readers_ -= 1;
    }
  }
  writers_changed_.notify();
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
  if (mutated(Mutation::keeps_old_handles_alive)) return;
  writers_.kill_granted();
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

/// The operator may have taken this host off the list since the file was opened: then its handles
/// are dead, and a lease that was broken is not taken again for them.
std::optional<Error> AttachedDisk::not_allowed(const pb::DiskRecord& record) {
  if (may_write(record, options_.host)) return std::nullopt;
  std::lock_guard lock(mutex_);
  kill_writers_locked();
  return Error{Code::io, fmt::format("host {} is not allowed to write disk {} any more",
                                     options_.host.str(), record.name())};
}

/// A handle that has had the lease, and finds another guest on it, is dead: it must not ask that
/// one's host to give the disk up.
AttachedDisk::Asking AttachedDisk::asking_for(const Writer* writer, Purpose purpose) {
  if (purpose == Purpose::job) return Asking::nobody;
  if (writer == nullptr) return Asking::idle;
  std::lock_guard lock(mutex_);
  return writer->granted ? Asking::jobs : Asking::hand_over;
}

/// Somebody holds the lease. Nothing: try again. Errors: busy.
Task<Result<std::optional<Catalog::Taken>>> AttachedDisk::resolve_busy(Error busy, Asking asking) {
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
  const bool to_guest = lease.kind() == pb::LeaseRecord::GUEST;
  if (asking == Asking::nobody || (asking == Asking::jobs && to_guest)) co_return busy;
  const HostId holder_id(lease.holder());
  auto holder = co_await services_.catalog.host(holder_id);
  if (!holder) co_return busy;
  pb::YieldLeaseRequest request;
  request.set_disk_id(id_.to_string());
  request.set_asked_by(options_.host.str());
  request.set_hand_over(asking == Asking::hand_over);
  auto yielded = co_await peers_.yield_lease(*holder, std::move(request));
  if (!yielded) co_return busy;
  co_return again;
}

Task<Result<Catalog::Taken>> AttachedDisk::take_lease(Purpose purpose, Asking asking) {
  const auto kind = purpose == Purpose::guest ? pb::LeaseRecord::GUEST : pb::LeaseRecord::JOB;
  Error last{Code::busy, "the disk's lease does not come free"};
  for (int i = 0; i < admin_tries_max; ++i) {
    auto taken = co_await services_.catalog.take_lease(id_, options_.host.str(), kind);
    if (taken.ok() || !taken.failed_with(Code::busy)) co_return taken;
    last = taken.error();
    auto resolved = co_await resolve_busy(last, asking);
    if (!resolved) co_return resolved.error();
  }
  co_return last;
}

/// The answer that needs no change of who holds the lease; null: one is needed.
Result<std::shared_ptr<Disk>> AttachedDisk::held_now(Writer* writer) {
  std::lock_guard lock(mutex_);
  if (writer != nullptr && Writers::is_over(*writer)) {
    return Error{Code::stale, "another host has taken this disk over; this handle is dead"};
  }
  if (writer != nullptr) writer->asked = true;
  if (!disk_ || disk_->stopped()) return std::shared_ptr<Disk>();
  if (writer != nullptr && disk_->serves_guest()) writer->granted = true;
  return disk_;
}

/// A grant may be over before it has begun to serve; only a dead handle is refused for good.
Task<Result<std::shared_ptr<Disk>>> AttachedDisk::hold(Writer* writer, Purpose purpose) {
  auto now = held_now(writer);
  if (!now) co_return now;
  const bool fits = *now && (purpose != Purpose::guest || (*now)->serves_guest());
  if (fits) co_return now;  // the way of almost every request
  const auto self = shared_from_this();
  for (;;) {
    auto held = co_await hold_once(writer, purpose);
    if (!held.failed_with(Code::stale) || !held_now(writer)) co_return held;
    co_await sleep_for(services_.scheduler, short_pause);
  }
}

Task<Result<std::shared_ptr<Disk>>> AttachedDisk::hold_once(Writer* writer, Purpose purpose) {
  auto guard = co_await transition_.lock();
  auto now = held_now(writer);
  if (!now) co_return now;
  if (*now && purpose == Purpose::guest) co_return co_await as_guest(*now, writer);
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
  co_await give_way();
  auto taken = co_await take_lease(purpose, asking_for(writer, purpose));
  if (taken.failed_with(Code::busy) && purpose == Purpose::guest) note_refused();
  if (!taken) co_return taken.error();
  note_taken(*taken);
  if (purpose == Purpose::guest) {
    if (auto refused = not_allowed(taken->entry.record)) {
      auto released = co_await services_.catalog.release_lease(taken->lease);
      if (!released) log::warn("event=release_failed what=\"{}\"", released.error().what);
      co_return *refused;
    }
  }
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
    owed_ = {};
  }
  watch_lease(disk);
  now = held_now(writer);
  if (!now) release_later();  // taken for a handle that is dead, as it turns out
  co_return now;
}

/// The lease was taken for a job, say, and now a guest is to write under it.
Task<Result<std::shared_ptr<Disk>>> AttachedDisk::as_guest(std::shared_ptr<Disk> held,
                                                           Writer* writer) {
  if (auto refused = not_allowed(held->record())) co_return *refused;
  auto done = co_await held->begin_guest();
  if (!done) co_return done.error();
  co_return held_now(writer);
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
  auto held = co_await hold(nullptr);
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

/// From now on requests wait for the end of the transition that this is a part of.
std::shared_ptr<Disk> AttachedDisk::end_grant_locked() {
  lease_watch_.reset();
  owed_ = {};
  if (disk_) record_ = disk_->record();
  return std::exchange(disk_, nullptr);
}

/// The grant is over and the lease still ours. Call with transition_ locked.
Task<void> AttachedDisk::release(std::shared_ptr<Disk> disk) {
  if (!disk) co_return;
  co_await give_back(disk);
  const Error over{Code::stale, "the lease was given back"};
  co_await disk->abandon(over);
}

/// The lease goes before all that runs under it has ended: nothing more is acknowledged, and
/// whatever it still asks of nodes or ZooKeeper is refused once another grant begins.
Task<void> AttachedDisk::give_back(std::shared_ptr<Disk> disk) {
  const bool clean = !disk->stopped() && co_await disk->finish();
  {
    std::lock_guard lock(mutex_);
    if (writers_.any_granted()) owed_ = disk->owed();  // handed over, and perhaps taken back
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
  std::shared_ptr<Disk> over;
  {
    std::lock_guard lock(mutex_);
    if (users_locked() > 0) co_return;
    if (options_.auto_heal && disk_ && !disk_->stopped() && disk_->degraded()) {
      // Nobody else would heal it. Whoever wants the disk meanwhile gets it at once (yield).
      services_.scheduler.after(options_.lease_linger, [self] { spawn(self->release_if_idle()); });
      co_return;
    }
    over = end_grant_locked();
  }
  co_await release(std::move(over));
}

/// Takes the lease for the time that healing needs, when nobody else holds it.
Task<void> AttachedDisk::heal_unattended() {
  const auto self = shared_from_this();
  opening(OpenMode::read_only);
  auto held = co_await hold(nullptr, Purpose::job);
  not_opened(OpenMode::read_only);
  if (!held && !held.failed_with(Code::busy)) {
    log::info("event=heal_put_off disk={} what=\"{}\"", record().name(), held.error().what);
  }
}

Task<void> AttachedDisk::shut_down() {
  const auto self = shared_from_this();
  {
    std::lock_guard lock(mutex_);
    stopping_ = true;
  }
  writers_changed_.notify();
  co_await tasks_.close();
  auto guard = co_await transition_.lock();
  std::shared_ptr<Disk> over;
  {
    std::lock_guard lock(mutex_);
    over = end_grant_locked();
  }
  co_await release(std::move(over));
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
  info.set_writers(static_cast<std::uint32_t>(writers_.count()));
  return info;
}

}  // namespace ukai
