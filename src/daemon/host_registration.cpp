// SPDX-License-Identifier: BSD-2-Clause
#include "daemon/host_registration.h"

#include "base/log.h"
#include "daemon/process.h"
#include "ukai/limits.h"

namespace ukai {
HostRegistration::HostRegistration(Catalog& catalog, Scheduler& scheduler, StateFolder& state,
                                   pb::HostRecord record)
    : catalog_(catalog),
      scheduler_(scheduler),
      state_(state),
      record_(std::move(record)),
      changed_(std::make_shared<Notifier>(scheduler)) {
  record_.set_incarnation(random_incarnation());
}

HostRegistration::~HostRegistration() {
  stopping_ = true;
  session_watch_.reset();
  changed_->notify();
  sync_wait(scope_.close());
}

Task<Result<>> HostRegistration::start() {
  const HostId id(record_.id());
  auto former = co_await catalog_.host(id);
  if (!former && former.failed_with(Code::unreachable)) co_return former.error();
  // We hold the lock of the state folder that the former process had: that one is dead.
  const bool was_ours = former.ok() && former->incarnation() == state_.last_incarnation();
  auto registered = co_await register_now(was_ours);
  if (!registered) co_return registered;
  auto remembered = state_.remember(record_.incarnation());
  if (!remembered) co_return remembered;
  session_watch_ =
      catalog_.coordination().on_session([changed = changed_](SessionState) { changed->notify(); });
  scope_.spawn(keep_registered());
  co_return Unit{};
}

Task<Result<>> HostRegistration::register_now(bool take_over) {
  // Read before: when it changes meanwhile, we register once more.
  const std::int64_t session = catalog_.coordination().session_id();
  auto registered = co_await catalog_.register_host(record_, take_over);
  if (registered.ok()) registered_session_ = session;
  co_return registered;
}

Task<void> HostRegistration::keep_registered() {
  while (!stopping_) {
    const std::uint64_t ticket = changed_->ticket();
    Coordination& coordination = catalog_.coordination();
    const bool connected = coordination.session_state() == SessionState::connected;
    Duration pause = limits::node_refresh_interval;
    if (connected && coordination.session_id() != registered_session_) {
      auto registered = co_await register_now(false);
      if (registered) {
        log::info("event=registered_again host={}", record_.id());
      } else {
        log::warn("event=not_registered host={} reason=\"{}\"", record_.id(),
                  registered.error().what);
        pause = limits::registry_retry;
      }
    }
    co_await changed_->wait(ticket, scheduler_.now() + pause);
  }
}

}  // namespace ukai
