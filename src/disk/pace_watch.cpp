// SPDX-License-Identifier: BSD-2-Clause
#include "disk/pace_watch.h"

#include <fmt/format.h>

#include <algorithm>

#include "base/log.h"
#include "disk/proximity.h"

namespace ukai {
namespace {

using namespace std::chrono_literals;
constexpr Duration look_interval = 1s;
constexpr Duration slow_min = 100ms;      // what a guest notices
constexpr int slow_factor = 8;            // times the fastest peer
constexpr int strikes_max = 3;            // looks in a row
constexpr Duration pause_min = 10s;       // then it is tried again
constexpr Duration pause_max = 10min;     // a node that stays slow must not flap
constexpr Duration pause_forget = 10min;  // of good service, and the pause is short again

std::int64_t ms_of(Duration duration) {
  return std::chrono::duration_cast<std::chrono::milliseconds>(duration).count();
}

}  // namespace

Task<void> PaceWatch::watch() {
  TimePoint next = core_.now() + look_interval;
  while (!core_.stop_reason()) {
    const std::uint64_t ticket = core_.changed.ticket();
    if (core_.now() < next) {
      co_await core_.changed.wait(ticket, next);
      continue;
    }
    rank_again();
    std::vector<Verdict> slow = judge();
    for (Verdict& verdict : slow) co_await set_aside(std::move(verdict));
    next = core_.now() + look_interval;
  }
}

void PaceWatch::rank_again() {
  for (std::size_t i = 0; i < core_.member_count(); ++i) {
    const auto& replica = core_.replicas[i];
    const auto found = core_.services.nodes.find(replica->node);
    if (!found) continue;
    const int rank = rank_of(*found, core_.options.site);
    std::lock_guard lock(core_.mutex);
    replica->rank = rank;
  }
}

/// Members that took long to change data since the last look, three looks in a row.
std::vector<PaceWatch::Verdict> PaceWatch::judge() {
  std::vector<Verdict> slow;
  std::lock_guard lock(core_.mutex);
  std::optional<Duration> fastest;
  for (const auto& replica : core_.replicas) {
    if (const auto mean = replica->pace.mean()) fastest = std::min(fastest.value_or(*mean), *mean);
  }
  for (const auto& replica : core_.replicas) {
    Pace& pace = replica->pace;
    const auto mean = pace.mean();
    pace.forget();
    if (!mean || replica->state != Replica::State::open) continue;
    const bool is_slow = *mean > slow_min && *mean > *fastest * slow_factor;
    pace.strikes = is_slow ? pace.strikes + 1 : 0;
    if (pace.strikes < strikes_max) continue;
    pace.strikes = 0;
    slow.push_back({replica->index, replica->session, core_.members.missing(replica->index),
                    fmt::format("it is slow: {} ms a change, where another takes {} ms",
                                ms_of(*mean), ms_of(*fastest))});
  }
  return slow;
}

Task<void> PaceWatch::set_aside(Verdict verdict) {
  if (!verdict.missing && !flusher_.replaceable(verdict.index)) co_return;
  const TimePoint now = core_.now();
  {
    std::lock_guard lock(core_.mutex);
    Pace& pace = core_.replicas[verdict.index]->pace;
    const bool fresh = pace.pause == Duration::zero() || now > pace.heal_after + pause_forget;
    pace.pause = fresh ? pause_min : std::min<Duration>(pace.pause * 2, pause_max);
    pace.heal_after = now + pace.pause;
  }
  log::warn("event=slow_member disk={} node={} what=\"{}\"", core_.name(),
            core_.replicas[verdict.index]->node.str(), verdict.reason);
  core_.session_failed(verdict.index, verdict.session, Error{Code::unreachable, verdict.reason});
  if (verdict.missing) co_return;  // ends its healing, and it stays missing
  std::vector<std::size_t> which{verdict.index};
  auto marked = co_await membership_.ensure_missing(which, verdict.reason);
  if (!marked) {
    log::warn("event=slow_member_kept disk={} what=\"{}\"", core_.name(), marked.error().what);
  }
}

}  // namespace ukai
