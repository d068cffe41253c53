// SPDX-License-Identifier: BSD-2-Clause
#include "disk/epoch_confirmation.h"

#include <algorithm>

#include "base/mutation.h"
#include "disk/requests.h"

namespace ukai {
namespace {

/// Asked again when half of it has gone, so that I/O seldom waits for the answer.
constexpr Duration refresh_after = limits::epoch_confirmation / 2;

}  // namespace

Task<bool> EpochConfirmation::fresh(const std::vector<Location>& locations) {
  if (mutated(Mutation::goes_on_unconfirmed)) co_return true;
  std::vector<Task<bool>> due;
  std::vector<Task<void>> ahead;  // started without the mutex
  {
    std::lock_guard lock(core_.mutex);
    const TimePoint now = core_.now();
    for (std::size_t index : core_.members.in_sync(locations)) {
      Replica& replica = *core_.replicas[index];
      if (replica.state != Replica::State::open) co_return false;
      const bool same = replica.confirmed_session == replica.session;
      const Duration age = now - replica.confirmed;
      if (!same || age >= limits::epoch_confirmation) {
        due.push_back(confirm(index, replica.session));
      } else if (age >= refresh_after && !std::exchange(replica.confirming, true)) {
        ahead.push_back(confirm_ahead(index, replica.session));
      }
    }
  }
  for (Task<void>& task : ahead) core_.tasks.spawn(std::move(task));
  const auto asked = co_await gather(std::move(due));
  if (std::find(asked.begin(), asked.end(), false) != asked.end()) co_return false;
  std::lock_guard lock(core_.mutex);
  const TimePoint now = core_.now();
  const auto in_sync = core_.members.in_sync(locations);
  co_return !in_sync.empty() && std::all_of(in_sync.begin(), in_sync.end(), [&](std::size_t index) {
    const Replica& replica = *core_.replicas[index];
    return replica.state == Replica::State::open && replica.confirmed_session == replica.session &&
           now - replica.confirmed < limits::epoch_confirmation;
  });
}

Task<void> EpochConfirmation::confirm_ahead(std::size_t index, Session session) {
  co_await confirm(index, session);
  std::lock_guard lock(core_.mutex);
  core_.replicas[index]->confirming = false;
}

Task<bool> EpochConfirmation::confirm(std::size_t index, Session session) {
  const TimePoint sent = core_.now();
  const bool answered = co_await ping(core_, index, session);
  std::lock_guard lock(core_.mutex);
  Replica& replica = *core_.replicas[index];
  if (!answered || replica.session != session) co_return false;
  replica.confirmed = sent;
  replica.confirmed_session = session;
  co_return true;
}

std::optional<TimePoint> EpochConfirmation::serve_from(const std::vector<Location>& locations) {
  std::optional<TimePoint> from;
  bool in_doubt = false;
  if (mutated(Mutation::serves_before_the_last_ends)) return std::nullopt;
  std::lock_guard lock(core_.mutex);
  if (core_.members.missing_mask() == 0) return std::nullopt;
  for (const Location& location : locations) {
    const auto index = core_.members.index_of(location.node);
    if (!index) continue;
    const Replica& replica = *core_.replicas[*index];
    if (replica.fenced) {
      from = std::max(from.value_or(replica.fenced_first), replica.fenced_first);
    } else if (core_.members.missing(*index)) {
      // Missing for longer: the last holder did not read from it either.
      in_doubt = in_doubt || core_.members.since_epoch(*index) + 2 >= raw(core_.lease.epoch);
    }
  }
  if (!in_doubt || !from) return std::nullopt;
  *from += limits::epoch_confirmation + limits::epoch_confirmation / 10;
  if (core_.now() >= *from) return std::nullopt;
  return from;
}

}  // namespace ukai
