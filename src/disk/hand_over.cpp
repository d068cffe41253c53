// SPDX-License-Identifier: BSD-2-Clause
//
// The lease passes from host to host while both have the disk open: live migration.
//
// The second host's handle asks for the lease when it is to change the disk, or when QEMU has
// locked byte 101 through it. The first host gives it up once no handle there is in the way: QEMU's
// that have let byte 101 go are not. Their requests find the grant gone. Until another host has had
// the lease they could take it back, which is what happens when the second host dies at that
// moment; after it they are dead.
#include <fmt/format.h>

#include <algorithm>

#include "base/log.h"
#include "disk/attached_disk.h"

namespace ukai {
namespace {

using namespace std::chrono_literals;
constexpr Duration short_pause = 20ms;
constexpr Duration give_way_time = 500ms;
constexpr Duration give_way_pause = 2ms;
constexpr auto yield_wait_ms =
    static_cast<std::uint32_t>(std::chrono::milliseconds(limits::yield_wait_max).count());

/// The grant went away under the request, or who has the lease is not known yet.
bool is_passing(const Error& error) {
  return error.code == Code::unreachable || error.code == Code::unknown ||
         error.code == Code::not_found;
}

}  // namespace

Task<bool> AttachedDisk::may_wait(pb::DiskRecord record) {
  auto info = co_await services_.catalog.lease_of(id_);
  if (!info || !*info) co_return false;
  co_return may_hand_over(record, HostId((*info)->record.holder()), options_.host);
}

void AttachedDisk::note_write_lock(const std::shared_ptr<Writer>& writer, bool held) {
  {
    std::lock_guard lock(mutex_);
    Writers::lock(*writer, held);
  }
  if (!held) return writers_changed_.notify();
  // QEMU is about to let the guest run: its first write finds the lease here.
  const auto self = shared_from_this();
  services_.scheduler.post([self, writer] { self->tasks_.spawn(self->take_soon(writer)); });
}

Task<void> AttachedDisk::take_soon(std::shared_ptr<Writer> writer) {
  const auto self = shared_from_this();
  auto held =
      co_await hold_for_change(*writer, services_.scheduler.now() + options_.hand_over_wait);
  if (!held) {
    log::info("event=lease_not_taken disk={} what=\"{}\"", record().name(), held.error().what);
  }
}

bool AttachedDisk::owes_nothing(const Writer& writer) {
  std::lock_guard lock(mutex_);
  return !writer.dead && !writer.granted && !disk_;
}

bool AttachedDisk::given_up(const Writer& writer) {
  std::lock_guard lock(mutex_);
  return stopping_ || writer.closed;
}

Task<Result<std::shared_ptr<Disk>>> AttachedDisk::hold_for_change(Writer& writer,
                                                                  TimePoint deadline) {
  std::optional<TimePoint> handed_over_by;
  for (;;) {
    auto held = co_await hold(&writer, Purpose::guest);
    if (held.ok() || held.failed_with(Code::stale)) co_return held;
    auto alive = held_now(&writer);
    if (!alive) co_return alive;  // another host became the writer while our session was lost
    const TimePoint now = services_.scheduler.now();
    if (!held.failed_with(Code::busy)) {
      if (!is_passing(held.error()) || now >= deadline || given_up(writer)) co_return held;
      co_await sleep_for(services_.scheduler, short_pause);
      continue;
    }
    if (!handed_over_by) handed_over_by = now + options_.hand_over_wait;
    if (now >= *handed_over_by || given_up(writer)) {
      log::warn("event=not_handed_over what=\"{}\"", held.error().what);
      co_return Error{Code::io, "not handed over: " + held.error().what};
    }
    co_await wait_for_holder();
  }
}

/// Returns when the lease may be free, or a moment later. Nobody else here waits meanwhile: readers
/// go on through the host that has it.
Task<void> AttachedDisk::wait_for_holder() {
  auto info = co_await services_.catalog.lease_of(id_);
  if (info.ok() && !*info) co_return;
  if (info.ok()) {
    const HostId holder((*info)->record.holder());
    auto host = co_await services_.catalog.host(holder);
    if (host.ok()) {
      pb::YieldLeaseRequest request;
      request.set_disk_id(id_.to_string());
      request.set_asked_by(options_.host.str());
      request.set_hand_over(true);
      request.set_wait_ms(yield_wait_ms);
      auto yielded = co_await peers_.yield_lease(*host, std::move(request));
      if (yielded.ok()) co_return;
    }
  }
  co_await sleep_for(services_.scheduler, short_pause);
}

/// Who has the disk open and would lose it; nothing: nobody.
std::optional<Error> AttachedDisk::kept_locked(const pb::YieldLeaseRequest& request) const {
  const pb::DiskRecord record = disk_ ? disk_->record() : record_;
  const HostId asker(request.asked_by());
  const bool hand_over = request.hand_over() && may_hand_over(record, options_.host, asker);
  const std::size_t open = request.for_delete() ? writers_.count()
                           : hand_over          ? writers_.busy()
                                                : writers_.keepers();
  const std::size_t writers = opening_writers_ + open;
  if (writers == 0 && (!request.for_delete() || readers_ == 0)) return std::nullopt;
  return Error{Code::busy, fmt::format("disk {} is open on host {} ({} writers, {} readers)",
                                       record.name(), options_.host.str(), writers, readers_)};
}

Task<void> AttachedDisk::wait_for_keepers(const pb::YieldLeaseRequest& request) {
  const auto asked = std::chrono::milliseconds(request.wait_ms());
  const TimePoint until =
      services_.scheduler.now() + std::min<Duration>(asked, limits::yield_wait_max);
  for (;;) {
    const std::uint64_t ticket = writers_changed_.ticket();
    {
      std::lock_guard lock(mutex_);
      if (stopping_ || !kept_locked(request)) co_return;
    }
    if (!co_await writers_changed_.wait(ticket, until)) co_return;
  }
}

Task<Result<>> AttachedDisk::yield(pb::YieldLeaseRequest request) {
  const auto self = shared_from_this();
  if (request.wait_ms() > 0) co_await wait_for_keepers(request);
  auto guard = co_await transition_.lock();
  std::shared_ptr<Disk> over;
  {
    std::lock_guard lock(mutex_);
    if (auto kept = kept_locked(request)) co_return *kept;
    over = end_grant_locked();
  }
  if (!over) co_return Unit{};
  const TimePoint begun = services_.scheduler.now();
  co_await give_back(over);
  if (request.hand_over()) {
    give_way_until_ = services_.scheduler.now() + give_way_time;
    const auto took = services_.scheduler.now() - begun;
    log::info("event=lease_handed_over disk={} to={} took_ms={}", record().name(),
              request.asked_by(),
              std::chrono::duration_cast<std::chrono::milliseconds>(took).count());
  }
  spawn(close_grant(std::move(over), std::move(guard)));
  co_return Unit{};
}

/// Whoever asked for the lease need not wait for what a node that is away holds up.
Task<void> AttachedDisk::close_grant(std::shared_ptr<Disk> disk, AsyncMutex::Guard guard) {
  const auto self = shared_from_this();
  const auto locked = std::move(guard);  // ends before `self`
  const Error over{Code::stale, "the lease was given back"};
  co_await disk->abandon(over);
}

/// The host that has been handed the disk is about to take the lease: a read here that came first
/// would only hold it up.
Task<void> AttachedDisk::give_way() {
  while (services_.scheduler.now() < give_way_until_) {
    auto info = co_await services_.catalog.lease_of(id_);
    if (!info || *info) break;
    co_await sleep_for(services_.scheduler, give_way_pause);
  }
  give_way_until_ = {};
}

}  // namespace ukai
