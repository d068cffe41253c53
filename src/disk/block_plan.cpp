// SPDX-License-Identifier: BSD-2-Clause
//
// BlockIo's first half: which replicas a request goes to, and when.
#include <fmt/format.h>

#include <algorithm>

#include "base/mutation.h"
#include "disk/block_io.h"

namespace ukai {
namespace {

using namespace std::chrono_literals;
constexpr Duration unconfirmed_pause = 50ms;  // between looks while neither ZooKeeper nor nodes say

Error session_ended() { return {Code::stale, "the lease ended with its ZooKeeper session"}; }

}  // namespace

Target BlockIo::target_of(const Replica& replica, bool required) const {
  Target target;
  target.index = replica.index;
  target.session = replica.session;
  target.link = replica.link;
  target.required = required;
  return target;
}

/// A read goes to open in-sync replicas. One that was never fenced under this epoch could still
/// serve another host's writes, so the block is served only once that one is recorded as missing.
BlockIo::Plan BlockIo::plan_read(BlockIndex block) {
  std::lock_guard lock(core_.mutex);
  const auto view = core_.map.find(block);
  const auto& locations = view->locations(block);
  if (core_.stopped) return *core_.stopped;
  Go go;
  SetAside aside;
  for (std::size_t index : core_.members.in_sync(locations)) {
    const Replica& replica = *core_.replicas[index];
    if (replica.state == Replica::State::open) {
      go.targets.push_back(target_of(replica, true));
    } else if (!replica.fenced) {
      aside.members.push_back(index);
    }
  }
  if (mutated(Mutation::reads_any_replica)) add_all_open(locations, go);
  if (go.targets.empty()) return Wait{};
  if (!aside.members.empty()) return aside;
  if (go.targets.size() > 1) {
    std::sort(go.targets.begin(), go.targets.end(), [&](const Target& a, const Target& b) {
      return core_.replicas[a.index]->rank < core_.replicas[b.index]->rank;
    });
  }
  return go;
}

/// For mutations: whoever is open, in sync or not; of the locations, or of all members.
void BlockIo::add_all_open(const std::vector<Location>& locations, Go& go) {
  for (const auto& replica : core_.replicas) {
    const bool here = std::any_of(locations.begin(), locations.end(),
                                  [&](const Location& at) { return at.node == replica->node; });
    const bool known = std::any_of(go.targets.begin(), go.targets.end(), [&](const Target& target) {
      return target.index == replica->index;
    });
    if (known || replica->state != Replica::State::open) continue;
    if (here || locations.empty()) go.targets.insert(go.targets.begin(), target_of(*replica, true));
  }
}

/// A change goes to all in-sync replicas, to those that are being healed, and to those that arrive.
BlockIo::Plan BlockIo::plan_change(BlockIndex block) {
  std::lock_guard lock(core_.mutex);
  const auto view = core_.map.find(block);
  const auto& locations = view->locations(block);
  if (core_.stopped) return *core_.stopped;
  Go go;
  SetAside aside;
  const auto in_sync = core_.members.in_sync(locations);
  for (std::size_t index : in_sync) {
    const Replica& replica = *core_.replicas[index];
    if (replica.state == Replica::State::open) {
      go.targets.push_back(target_of(replica, true));
    } else {
      aside.members.push_back(index);
    }
  }
  if (go.targets.empty()) return Wait{};
  for (const Location& location : locations) {
    if (location.status != SyncStatus::in_sync) continue;  // it lacks everything anyway
    const auto index = core_.members.index_of(location.node);
    if (!index || !core_.members.missing(*index)) continue;
    if (std::find(in_sync.begin(), in_sync.end(), *index) != in_sync.end()) continue;
    // Logged as missed even when it is forwarded: until the record says present, it may fail again.
    go.missing_mask |= std::uint64_t{1} << *index;
    const Replica& replica = *core_.replicas[*index];
    if (replica.healing && replica.state == Replica::State::open) {
      go.targets.push_back(target_of(replica, false));
    } else if (replica.presenting && !mutated(Mutation::forgets_who_is_presenting)) {
      aside.members.push_back(*index);  // whoever takes over may find it present
    }
  }
  add_arrivals(block, go, aside);
  if (!aside.members.empty()) return aside;
  note_stale(block, go.targets);
  if (mutated(Mutation::writes_where_not_asked)) add_all_open({}, go);
  return go;
}

/// The mutex is held.
void BlockIo::add_arrivals(BlockIndex block, Go& go, SetAside& aside) {
  for (const auto& arrival : core_.arrivals) {
    if (arrival->block != block || arrival->failed) continue;
    const Replica& replica = *core_.replicas[arrival->member];
    if (replica.state == Replica::State::open && replica.session == arrival->session) {
      go.targets.push_back(target_of(replica, false));
      continue;
    }
    arrival->failed = true;
    // Whoever takes over may find it in sync.
    if (arrival->committing) aside.members.push_back(arrival->member);
  }
}

/// Replicas that are being filled and do not get this change. Noted before and after it: a copy may
/// read the block in between, and does not know which of the two it has got. The mutex is held.
void BlockIo::note_stale(BlockIndex block, const std::vector<Target>& targets) {
  for (const auto& fill : core_.fill_maps) {
    const bool forwarded = std::any_of(targets.begin(), targets.end(), [&](const Target& target) {
      return target.index == fill->member;
    });
    if (!forwarded && raw(block) < fill->stale.size()) fill->stale[raw(block)] = true;
  }
}

/// False: not now, or no longer; time has passed. Waiting for ZooKeeper has no end of its own.
Task<bool> BlockIo::may_serve(const std::vector<Location>& locations) {
  LeaseClock& clock = core_.services.clock;
  if (const auto from = confirmation_.serve_from(locations)) {
    const std::uint64_t ticket = core_.changed.ticket();
    co_await core_.changed.wait(ticket, *from);
    co_return core_.stopped_now();
  }
  if (clock.valid(core_.lease.session_id)) co_return true;
  if (clock.ended(core_.lease.session_id)) {
    core_.stop(session_ended());
    co_return true;  // the plan says why
  }
  if (core_.stopped_now() || co_await confirmation_.fresh(locations)) co_return true;
  co_await sleep_for(core_.services.scheduler, unconfirmed_pause);
  co_return false;
}

/// The segment of the map that has the block. ZooKeeper may take as long as it takes.
Task<Result<MapCache::View>> BlockIo::load_map(BlockIndex block) {
  for (;;) {
    auto view = co_await core_.map.load(block, core_.geometry());
    const bool away = view.failed_with(Code::unreachable) || view.failed_with(Code::unknown);
    if (view.ok() || !away) co_return view;
    if (core_.services.clock.ended(core_.lease.session_id)) core_.stop(session_ended());
    if (auto reason = core_.stop_reason()) co_return *reason;
    co_await sleep_for(core_.services.scheduler, unconfirmed_pause);
  }
}

/// The plan that next_plan would come to without waiting for anything: nearly always.
std::optional<BlockIo::Go> BlockIo::plan_now(BlockIndex block, bool changes) {
  const auto view = core_.map.find_whole(block, core_.geometry());
  if (!view || confirmation_.serve_from(view->locations(block))) return std::nullopt;
  if (!core_.services.clock.valid(core_.lease.session_id)) return std::nullopt;
  Plan plan = changes ? plan_change(block) : plan_read(block);
  if (auto* go = std::get_if<Go>(&plan)) return std::move(*go);
  return std::nullopt;
}

/// Waits and sets members aside until the block can be served, or `deadline` has passed.
Task<Result<BlockIo::Go>> BlockIo::next_plan(BlockIndex block, bool changes, TimePoint deadline) {
  for (;;) {
    auto view = co_await load_map(block);
    if (!view) co_return view.error();
    const std::uint64_t ticket = core_.changed.ticket();
    if (!co_await may_serve((*view)->locations(block))) continue;
    Plan plan = changes ? plan_change(block) : plan_read(block);
    if (auto* go = std::get_if<Go>(&plan)) co_return std::move(*go);
    if (auto* error = std::get_if<Error>(&plan)) co_return *error;
    if (auto* aside = std::get_if<SetAside>(&plan)) {
      auto done = co_await membership_.ensure_missing(aside->members, "no session with the node");
      if (!done) co_return done.error();
      continue;
    }
    if (!co_await core_.changed.wait(ticket, deadline)) {
      co_return io_error(block, "no in-sync replica can be reached");
    }
  }
}

}  // namespace ukai
