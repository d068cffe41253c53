// SPDX-License-Identifier: BSD-2-Clause
#include "disk/flusher.h"

#include <algorithm>

#include "base/log.h"
#include "base/mutation.h"

namespace ukai {

std::vector<Flusher::Due> Flusher::due_now() {
  std::vector<Due> due;
  std::lock_guard lock(core_.mutex);
  for (const auto& replica : core_.replicas) {
    // One that was never fenced under this epoch may hold what the last holder acknowledged; its
    // first fence counts as a change.
    const std::uint64_t changes = std::max<std::uint64_t>(replica->changes_acked, 1);
    if (changes > replica->changes_flushed) due.push_back({replica->index, changes});
  }
  return due;
}

bool Flusher::replaceable(std::size_t index) {
  const auto views = core_.changed_map();
  std::lock_guard lock(core_.mutex);
  for (const auto& view : views) {
    for (const auto& locations : view->sets()) {
      const auto in_sync = core_.members.in_sync(locations);
      if (std::find(in_sync.begin(), in_sync.end(), index) == in_sync.end()) continue;
      const bool other = std::any_of(in_sync.begin(), in_sync.end(), [&](std::size_t member) {
        return member != index && core_.replicas[member]->state == Replica::State::open;
      });
      if (!other) return false;
    }
  }
  return true;
}

void Flusher::sort_out(std::vector<Due>& due, std::vector<Target>& ask,
                       std::vector<std::size_t>& away) {
  std::erase_if(due, [&](const Due& one) {
    bool missing = false;
    {
      std::lock_guard lock(core_.mutex);
      const Replica& replica = *core_.replicas[one.index];
      if (replica.changes_flushed >= one.changes) return true;
      missing = core_.members.gone(one.index) ||
                (core_.members.missing(one.index) && !replica.presenting);
    }
    // A missing member owes nothing, unless it is the last that holds some block.
    if (missing && replaceable(one.index)) return true;
    std::lock_guard lock(core_.mutex);
    const Replica& replica = *core_.replicas[one.index];
    if (replica.state == Replica::State::open) {
      Target target;
      target.index = one.index;
      target.session = replica.session;
      target.link = replica.link;
      ask.push_back(std::move(target));
    } else {
      away.push_back(one.index);
    }
    return false;
  });
}

Task<Result<>> Flusher::flush() {
  auto done = co_await make_durable();
  if (!done) co_return done;
  if (lost_writes_.take()) {
    co_return Error{Code::io,
                    "flush: acknowledged writes were lost when the only replica's machine crashed"};
  }
  co_return Unit{};
}

Task<Result<>> Flusher::make_durable() {
  if (mutated(Mutation::flushes_nothing)) co_return Unit{};
  const TimePoint deadline = core_.now() + core_.options.io_wait;
  auto due = due_now();
  for (;;) {
    const std::uint64_t ticket = core_.changed.ticket();
    if (auto reason = core_.stop_reason()) co_return *reason;
    std::vector<Target> ask;
    std::vector<std::size_t> away;
    sort_out(due, ask, away);
    if (due.empty()) break;
    std::vector<std::size_t> aside;
    for (std::size_t index : away) {
      if (replaceable(index)) aside.push_back(index);
    }
    if (!aside.empty()) {
      auto marked = co_await membership_.ensure_missing(aside, "it could not flush");
      if (!marked) co_return marked.error();
      continue;
    }
    if (ask.empty()) {
      if (co_await core_.changed.wait(ticket, deadline)) continue;
      co_return Error{Code::io, "flush: a node that holds the only replica cannot be reached"};
    }
    IoRequest request;
    request.op = IoOp::flush;
    const auto answers = co_await send_to_all(core_, std::move(request), std::move(ask));
    std::lock_guard lock(core_.mutex);
    for (const Answer& answer : answers) {
      Replica& replica = *core_.replicas[answer.target.index];
      replica.pace.add(answer.took);
      if (!answer.reply.ok) continue;
      if (replica.session != answer.target.session) continue;
      for (const Due& one : due) {
        if (one.index == replica.index) {
          replica.changes_flushed = std::max(replica.changes_flushed, one.changes);
        }
      }
    }
  }
  co_return Unit{};
}

bool Flusher::all_present_open() {
  std::lock_guard lock(core_.mutex);
  if (core_.stopped) return false;
  return std::all_of(core_.replicas.begin(), core_.replicas.end(), [&](const auto& replica) {
    return core_.members.missing(replica->index) || core_.members.gone(replica->index) ||
           replica->state == Replica::State::open;
  });
}

Task<bool> Flusher::clean() {
  auto guard = co_await cleaning_.lock();
  if (!all_present_open()) co_return false;
  // 1. Every change up to here has ended everywhere.
  std::uint64_t through = 0;
  {
    std::lock_guard lock(core_.mutex);
    through = core_.last_sequence;
  }
  const ByteRange all{0, core_.geometry().size_bytes};
  co_await core_.locks.drain(all);
  // 2. It is durable on all that are present, and whoever is missing has what it missed on record.
  // The guest's own flush is the one that says what was lost.
  auto flushed = co_await make_durable();
  if (!flushed || !co_await connector_.tell_missing() || !all_present_open()) co_return false;
  // 3. The nodes may forget it.
  bool all_cleaned = true;
  for (std::size_t i = 0; i < core_.member_count(); ++i) {
    const auto& replica = core_.replicas[i];
    pb::CleanRequest request;
    std::shared_ptr<NodeLink> link;
    {
      std::lock_guard lock(core_.mutex);
      if (core_.members.missing(i) || core_.members.gone(i)) continue;
      if (replica->state != Replica::State::open) co_return false;
      *request.mutable_ref() = core_.ref(*replica);
      request.set_through_sequence(through);
      request.set_earlier_epochs(true);
      for (const auto& other : core_.replicas) {
        if (!core_.members.missing(other->index)) request.add_healed(other->node.str());
      }
      link = replica->link;
    }
    auto cleaned = co_await link->clean(std::move(request));
    all_cleaned = all_cleaned && cleaned.ok();
  }
  if (all_cleaned) cleaned_through_ = through;
  co_return all_cleaned;
}

Task<void> Flusher::keep_clean() {
  TimePoint next = core_.now() + core_.options.clean_interval;
  while (!core_.stop_reason()) {
    const std::uint64_t ticket = core_.changed.ticket();
    if (core_.now() < next) {
      co_await core_.changed.wait(ticket, next);
      continue;
    }
    bool news = false;
    {
      std::lock_guard lock(core_.mutex);
      news = core_.last_sequence != cleaned_through_;
    }
    if (news) co_await clean();
    next = core_.now() + core_.options.clean_interval;
  }
}

}  // namespace ukai
