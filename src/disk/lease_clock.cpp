// SPDX-License-Identifier: BSD-2-Clause
#include "disk/lease_clock.h"

#include <algorithm>

#include "ukai/catalog.h"

namespace ukai {
namespace {

using namespace std::chrono_literals;

/// The server's clock may run faster than ours by so much of a timeout.
constexpr int drift_share = 20;
constexpr Duration ask_interval_max = 1s;

}  // namespace

LeaseClock::LeaseClock(Coordination& coordination, Scheduler& scheduler)
    : coordination_(coordination), scheduler_(scheduler), changed_(scheduler) {
  tasks_.spawn(run());
}

Task<void> LeaseClock::run() {
  for (;;) {
    {
      std::lock_guard lock(mutex_);
      if (stopped_) co_return;
    }
    const TimePoint sent = scheduler_.now();
    const std::int64_t session_id = coordination_.session_id();
    auto answer = co_await coordination_.get("/ukai");
    const Duration timeout = std::chrono::milliseconds(coordination_.session_timeout_ms());
    const bool heard = answer.ok() || answer.failed_with(Code::not_found);
    if (heard && session_id != 0 && coordination_.session_id() == session_id) {
      note(session_id, sent + timeout - timeout / drift_share);
    } else if (coordination_.session_id() != session_id) {
      changed_.notify();  // whoever waits for the old one gives up
    }
    const Duration pause = std::clamp<Duration>(timeout / 6, 50ms, ask_interval_max);
    co_await sleep_for(scheduler_, heard ? pause : pause / 2);
  }
}

void LeaseClock::note(std::int64_t session_id, TimePoint valid_until) {
  bool news = false;
  {
    std::lock_guard lock(mutex_);
    news = session_id != session_id_ || scheduler_.now() >= valid_until_;
    session_id_ = session_id;
    valid_until_ = valid_until;
  }
  if (news) changed_.notify();
}

bool LeaseClock::valid(std::int64_t session_id) const {
  std::lock_guard lock(mutex_);
  return !stopped_ && session_id == session_id_ && scheduler_.now() < valid_until_;
}

bool LeaseClock::ended(std::int64_t session_id) const {
  std::lock_guard lock(mutex_);
  return stopped_ || coordination_.session_id() != session_id;
}

Task<std::int64_t> LeaseClock::wait_session() {
  for (;;) {
    const std::uint64_t ticket = changed_.ticket();
    {
      std::lock_guard lock(mutex_);
      if (stopped_) co_return 0;
      // The last answer may have been to a session that has been followed by another one since.
      const bool current = session_id_ != 0 && session_id_ == coordination_.session_id();
      if (current && scheduler_.now() < valid_until_) co_return session_id_;
    }
    co_await changed_.wait(ticket, scheduler_.now() + ask_interval_max);
  }
}

Task<void> LeaseClock::stop() {
  {
    std::lock_guard lock(mutex_);
    stopped_ = true;
  }
  changed_.notify();
  co_await tasks_.close();
}

}  // namespace ukai
