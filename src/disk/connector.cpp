// SPDX-License-Identifier: BSD-2-Clause
#include "disk/connector.h"

#include <fmt/format.h>

#include <algorithm>

#include "base/log.h"
#include "base/mutation.h"
#include "disk/healer.h"
#include "disk/proximity.h"
#include "disk/requests.h"

namespace ukai {
namespace {

using namespace std::chrono_literals;
constexpr Duration heal_backoff_max = 30s;  // a full node must not flap
constexpr Duration prove_patience = 5s;     // then whoever else wants the lease has a chance
constexpr std::size_t reconcile_parallel = 4;

}  // namespace

void Connector::set_state(std::size_t index, Replica::State state) {
  {
    std::lock_guard lock(core_.mutex);
    core_.replicas[index]->state = state;
  }
  core_.changed.notify();
}

pb::FenceRequest Connector::begin_fence(std::size_t index, const NodeDirectory::Entry& found) {
  pb::FenceRequest request;
  std::lock_guard lock(core_.mutex);
  Replica& replica = *core_.replicas[index];
  replica.state = Replica::State::fencing;
  replica.session = Session{++replica.last_session};
  replica.link = found.link;
  replica.data_address = found.data_address;
  replica.control_address = found.control_address;
  replica.rank = rank_of(found, core_.options.site);
  replica.site = found.site;
  *request.mutable_ref() = core_.ref(replica);
  request.set_disk_name(core_.entry.record.name());
  request.set_size(core_.announced_bytes);
  request.set_block_size(core_.entry.record.block_size());
  request.set_generation(raw(core_.head));
  *request.mutable_history() = core_.history_locked();
  for (const std::string& name : core_.members.names()) request.add_members(name);
  request.set_missing_mask(core_.members.missing_mask());
  request.set_holder(core_.options.host.str());
  request.set_cluster_id(core_.options.cluster_id);
  return request;
}

Task<Connector::Fenced> Connector::fence(std::size_t index) {
  const NodeId node = core_.replicas[index]->node;
  const auto found = core_.services.nodes.find(node);
  if (!found || !found->link) co_return Fenced{};
  pb::FenceRequest request = begin_fence(index, *found);
  const std::uint64_t told_mask = request.missing_mask();
  const std::uint64_t told_bytes = request.size();
  const auto told_members = static_cast<std::size_t>(request.members_size());
  const std::string told_history = request.history().SerializeAsString();
  const Result<pb::FenceReply> late = Error{Code::unreachable, "the node did not answer in time"};
  auto asking = found->link->fence(std::move(request));
  auto reply =
      co_await within(core_.services.scheduler, core_.options.io_deadline, std::move(asking), late);
  if (reply.ok()) {
    {
      std::lock_guard lock(core_.mutex);
      core_.replicas[index]->told_mask = told_mask;
      core_.replicas[index]->told_bytes = told_bytes;
      core_.replicas[index]->told_members = told_members;
      core_.replicas[index]->told_history = told_history;
    }
    co_return take_fence(index, *reply);
  }
  {
    std::lock_guard lock(core_.mutex);
    core_.replicas[index]->last_error = reply.error().what;
  }
  if (reply.failed_with(Code::stale)) co_await membership_.verify_lease();
  if (reply.failed_with(Code::refused) || reply.failed_with(Code::corrupt)) {
    core_.services.errors.add(node.str(), core_.name(), reply.error().what);
  }
  set_state(index, Replica::State::closed);
  co_return Fenced{};
}

/// What has been forwarded to a replica that is being copied to is not copied to it again. The
/// crashed machine may have lost just that, and be the one to copy from: all begins anew.
void Connector::void_healing_locked(std::size_t crashed) {
  for (const auto& replica : core_.replicas) {
    if (replica->index != crashed) replica->healing = false;
  }
  for (const auto& arrival : core_.arrivals) {
    if (!arrival->committing) arrival->failed = true;
  }
  for (const auto& fill : core_.fill_maps) fill->stale.clear();
}

Connector::Fenced Connector::take_fence(std::size_t index, const pb::FenceReply& reply) {
  std::lock_guard lock(core_.mutex);
  Replica& replica = *core_.replicas[index];
  Fenced out;
  out.ok = true;
  out.first = !replica.fenced;
  out.restarted = !out.first && replica.incarnation != reply.incarnation();
  replica.incarnation = reply.incarnation();
  if (out.first) replica.fenced_first = core_.now();
  out.had_active = reply.active_count() > 0;
  const bool rebooted = !replica.boot_id.empty() && replica.boot_id != reply.boot_id();
  const bool unflushed = replica.changes_acked > replica.changes_flushed;
  // The last holder's changes may be unflushed, and the guest's flush is to cover them, too.
  if (out.first) replica.changes_acked += 1;
  out.crashed = reply.crashed() || (rebooted && (unflushed || out.had_active));
  if ((rebooted || reply.crashed()) && unflushed) replica.lost_writes = true;
  if (rebooted || reply.crashed()) replica.changes_flushed = replica.changes_acked;
  replica.fenced = true;
  replica.boot_id = reply.boot_id();
  if (out.crashed) void_healing_locked(index);
  if (mutated(Mutation::trusts_after_power_loss)) out.crashed = out.restarted = false;
  return out;
}

Task<Result<pb::FenceReply>> Connector::survey(std::size_t index) {
  const NodeId node = core_.replicas[index]->node;
  const auto found = core_.services.nodes.find(node);
  if (!found || !found->link) co_return Error{Code::unreachable, "it is not running"};
  pb::FenceRequest request = begin_fence(index, *found);
  request.set_survey(true);
  const Result<pb::FenceReply> late = Error{Code::unreachable, "it did not answer in time"};
  auto asking = found->link->fence(std::move(request));
  auto reply =
      co_await within(core_.services.scheduler, core_.options.io_deadline, std::move(asking), late);
  if (!reply) co_await membership_.verify_lease();
  set_state(index, Replica::State::closed);
  co_return reply;
}

/// Older sessions have ended when the logs are read, so that nobody adds to them; and they are as
/// they were until the decision is recorded: the fences that follow drop what it contradicts.
Task<Result<>> Connector::prove() {
  const TimePoint deadline = core_.now() + prove_patience;
  std::vector<Testimony> said;
  for (std::size_t i = 0; i < core_.replicas.size();) {
    const NodeId node = core_.replicas[i]->node;
    auto reply = co_await survey(i);
    if (auto reason = core_.stop_reason()) co_return *reason;
    if (reply.ok()) {
      const auto& accused = reply->accused();
      said.push_back({node, reply->crashed(), {accused.begin(), accused.end()}});
      ++i;
      continue;
    }
    if (core_.now() < deadline) {
      co_await sleep_for(core_.services.scheduler, limits::reconnect_backoff_max);
      continue;
    }
    const Error error{reply.code(), fmt::format("disk {}: its metadata were loaded, so that all of "
                                                "its nodes are asked first who is up to date; "
                                                "node {}: {}",
                                                core_.name(), node.str(), reply.error().what)};
    core_.services.errors.add(node.str(), core_.name(), error.what);
    co_return error;
  }
  auto settled = co_await membership_.settle(std::move(said));
  if (settled.failed_with(Code::refused)) {
    core_.services.errors.add("", core_.name(), settled.error().what);
  }
  co_return settled;
}

Task<Result<>> Connector::start() {
  bool unproven = false;
  {
    std::lock_guard lock(core_.mutex);
    unproven = core_.entry.record.unproven();
  }
  if (unproven) {
    auto proven = co_await prove();
    if (!proven) co_return proven.error();
  }
  std::vector<Task<Fenced>> fences;
  for (std::size_t i = 0; i < core_.replicas.size(); ++i) fences.push_back(fence(i));
  auto fenced = co_await gather(std::move(fences));
  // A machine that crashed with changes on it may lack some that others have: first missing, then
  // healed.
  std::vector<std::size_t> crashed;
  for (std::size_t i = 0; i < fenced.size(); ++i) {
    if (fenced[i].ok && fenced[i].crashed) crashed.push_back(i);
  }
  auto marked = co_await membership_.ensure_missing(crashed, "its machine crashed");
  if (!marked) co_return marked.error();
  for (std::size_t i = 0; i < fenced.size(); ++i) {
    if (fenced[i].ok) set_state(i, Replica::State::open);
  }
  auto equal = co_await reconcile(fenced);
  if (!equal) co_return equal.error();
  {
    std::lock_guard lock(core_.mutex);
    core_.started = true;
  }
  core_.changed.notify();
  co_return Unit{};
}

Task<Result<std::vector<BlockVersion>>> Connector::active_of(std::size_t index) {
  pb::DirtyListRequest request;
  std::shared_ptr<NodeLink> link;
  {
    std::lock_guard lock(core_.mutex);
    *request.mutable_ref() = core_.ref(*core_.replicas[index]);
    link = core_.replicas[index]->link;
  }
  auto reply = co_await link->dirty_list(std::move(request));
  if (!reply) co_return reply.error();
  co_return versions_in(core_, *reply);
}

/// Nobody is served yet, so no lock is needed. What the last holder left dirty may differ between
/// replicas; none of it was acknowledged unless all of them have it, so any of them may be the
/// source.
Task<Result<>> Connector::reconcile(std::vector<Fenced> fenced) {
  if (mutated(Mutation::skips_reconciliation)) co_return Unit{};
  for (std::size_t i = 0; i < fenced.size(); ++i) {
    bool concerned = fenced[i].ok && fenced[i].had_active;
    {
      std::lock_guard lock(core_.mutex);
      concerned = concerned && !core_.members.missing(i);
    }
    if (!concerned) continue;
    auto active = co_await active_of(i);
    if (active.ok()) {
      left_dirty_.insert(active->begin(), active->end());
      continue;
    }
    std::vector<std::size_t> silent{i};
    auto marked = co_await membership_.ensure_missing(silent, active.error().what);
    if (!marked) co_return marked.error();
  }
  if (!left_dirty_.empty()) {
    log::info("event=reconcile disk={} blocks={}", core_.name(), left_dirty_.size());
  }
  std::vector<Task<Result<>>> batch;
  for (auto at = left_dirty_.begin(); at != left_dirty_.end();) {
    batch.push_back(reconcile_block(*at));
    ++at;
    if (batch.size() < reconcile_parallel && at != left_dirty_.end()) continue;
    auto done = co_await gather(std::exchange(batch, {}));
    for (const Result<>& result : done) {
      if (!result) co_return result.error();
    }
  }
  co_return Unit{};
}

Task<Result<>> Connector::reconcile_block(BlockVersion version) {
  auto view = co_await core_.map.load(version.block, core_.geometry());
  if (!view) co_return view.error();
  for (;;) {
    std::vector<std::size_t> open;
    {
      std::lock_guard lock(core_.mutex);
      for (std::size_t index : core_.members.in_sync((*view)->locations(version.block))) {
        if (core_.replicas[index]->state == Replica::State::open) open.push_back(index);
      }
      std::sort(open.begin(), open.end(), [&](std::size_t a, std::size_t b) {
        return core_.replicas[a]->rank < core_.replicas[b]->rank;
      });
    }
    if (open.size() < 2) co_return Unit{};
    std::vector<std::size_t> failed;
    for (std::size_t i = 1; i < open.size() && failed.empty(); ++i) {
      const auto copied =
          co_await copy_despite_damage(core_, version, open[0], open[i], BlockHold::held);
      if (!copied.ok) failed.push_back(copied.target_failed ? open[i] : open[0]);
    }
    if (failed.empty()) co_return Unit{};
    auto marked = co_await membership_.ensure_missing(failed, "it failed during reconciliation");
    if (!marked) co_return marked.error();
  }
}

Connector::Need Connector::need_of(std::size_t index) {
  std::lock_guard lock(core_.mutex);
  if (core_.stopped) return Need::end;
  if (core_.members.gone(index)) return Need::nothing;
  const Replica& replica = *core_.replicas[index];
  if (replica.state != Replica::State::open) return Need::session;
  const bool asked = core_.heal_wanted.contains(index);
  const bool rested = core_.now() >= replica.pace.heal_after;
  const bool wanted = asked || (core_.options.auto_heal && rested);
  if (core_.members.missing(index) && wanted) return Need::healing;
  return Need::nothing;
}

/// When a member that needs nothing now may need something though nothing has changed.
TimePoint Connector::next_look(std::size_t index) {
  std::lock_guard lock(core_.mutex);
  const TimePoint now = core_.now();
  const TimePoint rested = core_.replicas[index]->pace.heal_after;
  const bool rests = core_.members.missing(index) && rested > now;
  return rests ? std::min<TimePoint>(rested, now + heal_backoff_max) : now + heal_backoff_max;
}

Task<void> Connector::keep_all_open(Healer& healer) {
  std::size_t begun = 0;
  while (!core_.stop_reason()) {
    const std::uint64_t ticket = core_.changed.ticket();
    for (; begun < core_.member_count(); ++begun) core_.tasks.spawn(keep_open(begun, healer));
    co_await core_.changed.wait(ticket, core_.now() + heal_backoff_max);
  }
}

Task<void> Connector::keep_open(std::size_t index, Healer& healer) {
  Duration backoff = limits::reconnect_backoff_min;
  for (;;) {
    const std::uint64_t ticket = core_.changed.ticket();
    bool done = true;
    Duration backoff_max = limits::reconnect_backoff_max;
    switch (need_of(index)) {
      case Need::end:
        co_return;
      case Need::nothing: {
        co_await core_.changed.wait(ticket, next_look(index));
        backoff = limits::reconnect_backoff_min;
        continue;
      }
      case Need::session: {
        const Fenced fenced = co_await fence(index);
        done = fenced.ok && co_await admit(index, fenced);
        break;
      }
      case Need::healing: {
        done = co_await healer.heal(index);
        backoff_max = heal_backoff_max;
        break;
      }
    }
    if (done) continue;
    // The pause is cut short when something changes, but never below the minimum.
    co_await sleep_for(core_.services.scheduler, limits::reconnect_backoff_min);
    co_await core_.changed.wait(core_.changed.ticket(), core_.now() + backoff);
    backoff = std::min<Duration>(backoff * 2, backoff_max);
  }
}

/// Decides how a member comes back after its session ended, or joins after the start.
Task<bool> Connector::admit(std::size_t index, Fenced fenced) {
  bool missing = false;
  {
    std::lock_guard lock(core_.mutex);
    missing = core_.members.missing(index);
  }
  if (!missing && fenced.crashed) {
    std::vector<std::size_t> crashed{index};
    auto marked = co_await membership_.ensure_missing(crashed, "its machine crashed");
    if (!marked) co_return false;
  } else if (!missing && (fenced.first || fenced.restarted) && !co_await join_late(index)) {
    set_state(index, Replica::State::closed);
    co_return false;
  }
  set_state(index, Replica::State::open);
  log::info("event=session_open disk={} node={}", core_.name(), core_.replicas[index]->node.str());
  co_return true;
}

/// A present member is fenced for the first time under this epoch: nothing acknowledged is lacking
/// on it, but it may hold writes of the last holder that never were, or lack such that the others
/// hold. The blocks of its log and of theirs are made equal to what is being served. (One that only
/// lost its session holds nothing of that kind: changes of ours that have not ended keep their
/// ranges locked until they have.) One whose process was restarted takes what it finds in the
/// blocks of its log for what was written there (node/torn.cpp), and is compared in these for that
/// reason.
Task<bool> Connector::join_late(std::size_t index) {
  auto active = co_await active_of(index);
  if (!active) co_return false;
  std::set<BlockVersion> dirty = left_dirty_;
  dirty.insert(active->begin(), active->end());
  for (const BlockVersion& version : dirty) {
    auto view = co_await core_.map.load(version.block, core_.geometry());
    if (!view) co_return false;
    const auto& locations = (*view)->locations(version.block);
    const bool here = std::any_of(locations.begin(), locations.end(), [&](const Location& at) {
      return at.node == core_.replicas[index]->node && at.status == SyncStatus::in_sync;
    });
    if (!here) continue;
    // A block that nobody serves needs nothing, and whoever waits for it holds its lock.
    if (!source_for(core_, version.block, index)) continue;
    const ByteRange range = core_.geometry().range_of(version.block);
    auto guard =
        co_await core_.locks.acquire(range, RangeLocks::Mode::exclusive, core_.options.io_wait);
    if (!guard.holds()) co_return false;
    const auto source = source_for(core_, version.block, index);
    if (!source) continue;
    const auto copied =
        co_await copy_despite_damage(core_, version, *source, index, BlockHold::held);
    if (!copied.ok) co_return false;
  }
  co_return true;
}

Task<bool> Connector::tell_missing() {
  // One at a time: of two that overtake each other, the later one's news would be taken back.
  auto guard = co_await telling_.lock();
  bool all = true;
  for (std::size_t i = 0; i < core_.member_count(); ++i) {
    pb::SetMissingRequest request;
    std::shared_ptr<NodeLink> link;
    Session session{};
    {
      std::lock_guard lock(core_.mutex);
      const Replica& replica = *core_.replicas[i];
      const std::uint64_t mask = core_.members.missing_mask();
      pb::History history = core_.history_locked();
      if (replica.state != Replica::State::open) {
        all = all && (core_.members.missing(i) || core_.members.gone(i));
        continue;
      }
      if (replica.told_mask == mask && replica.told_bytes == core_.announced_bytes &&
          replica.told_members == core_.members.size() &&
          replica.told_history == history.SerializeAsString())
        continue;
      *request.mutable_ref() = core_.ref(replica);
      for (const std::string& name : core_.members.names()) request.add_members(name);
      request.set_missing_mask(mask);
      request.set_size(core_.announced_bytes);
      *request.mutable_history() = core_.history_locked();
      session = replica.session;
      link = replica.link;
    }
    const std::uint64_t mask = request.missing_mask();
    const std::uint64_t size_bytes = request.size();
    const auto members = static_cast<std::size_t>(request.members_size());
    const std::string history = request.history().SerializeAsString();
    auto told = co_await link->set_missing(std::move(request));
    if (!told) {
      core_.session_failed(i, session, told.error());
      all = false;
      continue;
    }
    std::lock_guard lock(core_.mutex);
    if (core_.replicas[i]->session != session) continue;
    core_.replicas[i]->told_mask = mask;
    core_.replicas[i]->told_bytes = size_bytes;
    core_.replicas[i]->told_members = members;
    core_.replicas[i]->told_history = history;
  }
  co_return all;
}

}  // namespace ukai
