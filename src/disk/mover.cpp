// SPDX-License-Identifier: BSD-2-Clause
#include "disk/mover.h"

#include <algorithm>
#include <atomic>
#include <set>

#include "base/log.h"
#include "disk/requests.h"
#include "ukai/limits.h"

namespace ukai {
namespace {

using namespace std::chrono_literals;
constexpr std::size_t round_replicas_max = 64;
constexpr Duration round_time = 2s;  // new writes go to what has arrived as long as a round lasts
/// A pass that leaves more than this share of what it began with is the last but the mirrored one:
/// the guest writes as fast as the link carries.
constexpr std::uint64_t worth_another_pass_percent = 60;
constexpr Duration far = 2ms;  // round trip: one copy does not fill the link
constexpr std::uint64_t slow_rate_bytes_per_s = 16U << 20;  // one copy at a time fills it

}  // namespace

bool MoveTerms::covers(const NodeId& node, BlockIndex block) const {
  return std::any_of(parts.begin(), parts.end(), [&](const Part& part) {
    return (part.node.empty() || part.node == node) && part.blocks.contains(block);
  });
}

BlockRange MoveTerms::hull() const {
  BlockRange out;
  for (const Part& part : parts) {
    if (out.begin == out.end) out = part.blocks;
    out.begin = std::min(out.begin, part.blocks.begin);
    out.end = std::max(out.end, part.blocks.end);
  }
  return out;
}

void Mover::begin_filling() { filled_enough_ = false; }

void Mover::end_filling() {
  std::lock_guard lock(core_.mutex);
  core_.fill_maps.clear();
}

/// The mutex is held.
FillMap& Mover::fill_map(std::size_t member) {
  const Geometry geometry = core_.geometry();
  for (const auto& fill : core_.fill_maps) {
    if (fill->member != member) continue;
    fill->stale.resize(geometry.block_count(), true);
    return *fill;
  }
  auto fill = std::make_shared<FillMap>();
  fill->member = member;
  fill->stale.resize(geometry.block_count(), true);
  core_.fill_maps.push_back(fill);
  return *fill;
}

/// The mutex is held.
bool Mover::stale(const BlockReplica& replica) {
  const auto member = core_.members.index_of(replica.node);
  return !member || fill_map(*member).stale[raw(replica.block)];
}

Task<Result<>> Mover::count(const MoveTerms& terms, Progress& progress) {
  const Geometry geometry = core_.geometry();
  const BlockRange hull = terms.hull();
  progress.left = 0;
  progress.filled = 0;
  for (BlockIndex at = hull.begin; at < hull.end;) {
    auto view = co_await core_.map.load(at, geometry);
    if (!view) co_return view.error();
    const BlockIndex end = std::min((*view)->blocks().end, hull.end);
    std::lock_guard lock(core_.mutex);
    for (; at < end; at = next(at)) {
      for (const Location& location : (*view)->locations(at)) {
        if (location.status == SyncStatus::in_sync || !terms.covers(location.node, at)) continue;
        ++progress.left;
        const BlockReplica replica{at, location.node};
        if (!stale(replica)) ++progress.filled;
      }
    }
  }
  co_return Unit{};
}

/// From where the last round stopped, of members that can be copied to now.
Task<Result<std::deque<BlockReplica>>> Mover::next_replicas(const MoveTerms& terms, bool fills,
                                                            BlockIndex& from) {
  const Geometry geometry = core_.geometry();
  const BlockRange hull = terms.hull();
  std::deque<BlockReplica> out;
  BlockIndex at = std::max(from, hull.begin);
  while (at < hull.end && out.size() < round_replicas_max) {
    auto view = co_await core_.map.load(at, geometry);
    if (!view) co_return view.error();
    const BlockIndex end = std::min((*view)->blocks().end, hull.end);
    std::lock_guard lock(core_.mutex);
    for (; at < end && out.size() < round_replicas_max; at = next(at)) {
      for (const Location& location : (*view)->locations(at)) {
        if (location.status == SyncStatus::in_sync || !terms.covers(location.node, at)) continue;
        const auto member = core_.members.index_of(location.node);
        if (!member || core_.members.missing(*member)) continue;
        if (core_.replicas[*member]->state != Replica::State::open) continue;
        const BlockReplica replica{at, location.node};
        if (fills && !stale(replica)) continue;
        out.push_back(replica);
      }
    }
  }
  from = at;
  co_return out;
}

/// Copies side by side fill a far link. Near, they would take the processors that a guest's
/// requests need, here or there.
bool Mover::gives_way() {
  const std::uint64_t requests = core_.counters.reads + core_.counters.writes;
  return guest_.works(requests, core_.now()) && all_near();
}

std::size_t Mover::workers(const Work& work) {
  const std::size_t most = work.gives_way ? 1 : limits::heal_blocks_parallel;
  if (work.rate_bytes_per_s == 0) return most;
  return std::clamp<std::size_t>(work.rate_bytes_per_s / slow_rate_bytes_per_s, 1, most);
}

bool Mover::all_near() {
  std::vector<std::shared_ptr<NodeLink>> links;
  {
    std::lock_guard lock(core_.mutex);
    for (const auto& replica : core_.replicas) {
      if (replica->link) links.push_back(replica->link);
    }
  }
  return std::all_of(links.begin(), links.end(),
                     [](const auto& link) { return link->condition().latency < far; });
}

Task<Result<bool>> Mover::step(const MoveTerms& terms, Progress& progress) {
  auto turn = co_await turn_.lock();
  auto filled = co_await fill(terms, progress);
  if (!filled || *filled) co_return filled;
  co_return co_await round(terms, progress);
}

/// True: some were filled, or another pass begins. False: what is left is for round().
Task<Result<bool>> Mover::fill(const MoveTerms& terms, Progress& progress) {
  if (filled_enough_) co_return false;
  auto left = co_await next_replicas(terms, true, progress.fill_at);
  if (!left) co_return left.error();
  if (left->empty()) co_return co_await end_pass(terms, progress);
  auto work = std::make_shared<Work>();
  work->fills = true;
  work->left = std::move(*left);
  co_await run(work, terms);
  if (!work->left.empty()) progress.fill_at = work->left.front().block;
  progress.error = work->error;
  co_return work->filled > 0;
}

/// Is another pass over what is stale worth more than letting the guest's writes wait for the rest?
Task<Result<bool>> Mover::end_pass(const MoveTerms& terms, Progress& progress) {
  progress.fill_at = BlockIndex{};
  Progress now;
  auto counted = co_await count(terms, now);
  if (!counted) co_return counted.error();
  const std::uint64_t stale = now.left - std::min(now.filled, now.left);
  const bool shrinks = stale * 100 <= stale_before_ * worth_another_pass_percent;
  filled_enough_ = stale <= round_replicas_max / 4 || !shrinks;
  stale_before_ = filled_enough_ ? UINT32_MAX : stale;
  co_return !filled_enough_;
}

Task<Result<bool>> Mover::round(const MoveTerms& terms, Progress& progress) {
  auto left = co_await next_replicas(terms, false, progress.at);
  if (!left) co_return left.error();
  if (left->empty()) {
    progress.at = BlockIndex{};
    co_return false;
  }
  // 1. Copied, as far as this round goes.
  auto work = std::make_shared<Work>();
  work->left = std::move(*left);
  co_await run(work, terms);
  if (!work->left.empty()) progress.at = work->left.front().block;
  progress.error = work->error;
  // 2. Durable, then recorded.
  co_await flush(work);
  auto marked = co_await membership_.mark_arrived(work->arrived);
  end(work->arrived);
  if (!marked) co_return marked.error();
  co_return *marked > 0;
}

Task<void> Mover::run(std::shared_ptr<Work> work, const MoveTerms& terms) {
  work->gives_way = gives_way();
  work->rate_bytes_per_s = terms.rate();
  const std::size_t parallel = workers(*work);
  work->workers = parallel;
  work->until = core_.now() + round_time;
  std::vector<Task<bool>> tasks;
  for (std::size_t i = 0; i < parallel; ++i) tasks.push_back(copy_some(work));
  co_await gather(std::move(tasks));
}

Task<bool> Mover::copy_some(std::shared_ptr<Work> work) {
  for (;;) {
    BlockReplica replica;
    {
      std::lock_guard lock(core_.mutex);
      if (work->left.empty() || core_.stopped || core_.now() >= work->until) co_return true;
      replica = work->left.front();
      work->left.pop_front();
    }
    if (work->fills) {
      co_await fill_one(work, replica);
    } else {
      co_await copy_one(work, replica);
    }
  }
}

/// The mutex is held. The operator may have taken it off since it was looked up.
std::optional<std::size_t> Mover::usable(const BlockReplica& wanted) {
  const auto member = core_.members.index_of(wanted.node);
  if (!member || core_.members.missing(*member)) return std::nullopt;
  if (core_.replicas[*member]->state != Replica::State::open) return std::nullopt;
  const auto view = core_.map.find(wanted.block);
  if (!view) return std::nullopt;
  const auto& locations = view->locations(wanted.block);
  const bool asked_for =
      std::any_of(locations.begin(), locations.end(), [&](const Location& location) {
        return location.node == wanted.node && location.status != SyncStatus::in_sync;
      });
  return asked_for ? member : std::nullopt;
}

/// Changes are neither held nor forwarded: what comes meanwhile makes the block stale again.
Task<void> Mover::fill_one(std::shared_ptr<Work> work, BlockReplica replica) {
  std::optional<std::size_t> member;
  std::uint64_t now = 0;
  {
    std::lock_guard lock(core_.mutex);
    now = core_.last_sequence + 1;
    member = usable(replica);
    if (member) fill_map(*member).stale[raw(replica.block)] = false;
  }
  if (!member) co_return;
  const bool pulled = co_await pull(work, replica, *member, now);
  std::lock_guard lock(core_.mutex);
  if (pulled) {
    ++work->filled;
  } else {
    fill_map(*member).stale[raw(replica.block)] = true;
  }
}

Task<bool> Mover::pull(std::shared_ptr<Work> work, BlockReplica replica, std::size_t member,
                       std::uint64_t forward_from) {
  const auto source = source_for(core_, replica.block, member);
  if (!source) co_return false;
  BlockVersion version;
  version.block = replica.block;
  CopyTerms terms;
  terms.forward_from = forward_from;
  terms.gives_way = work->gives_way;
  {
    std::lock_guard lock(core_.mutex);
    version.generation = core_.head;
    terms.rate_bytes_per_s = pacer_.share(work->rate_bytes_per_s, work->workers, core_.now());
  }
  const CopyOutcome copied =
      co_await copy_despite_damage(core_, version, *source, member, BlockHold::free, terms);
  if (copied.ok) {
    std::lock_guard lock(core_.mutex);
    pacer_.moved(copied.bytes_fetched);
    co_return true;
  }
  log::warn("event=copy_failed disk={} node={} block={} what=\"{}\"", core_.name(),
            replica.node.str(), raw(replica.block), copied.error.what);
  std::lock_guard lock(core_.mutex);
  work->error = Error{copied.error.code, "node " + replica.node.str() + ": " + copied.error.what};
  co_return false;
}

/// Null: not now. `filled`: it needs no copy any more, if nothing under way makes it stale.
std::shared_ptr<Arrival> Mover::begin(const BlockReplica& wanted, bool& filled) {
  std::lock_guard lock(core_.mutex);
  const auto member = usable(wanted);
  if (!member) return nullptr;
  auto arrival = std::make_shared<Arrival>();
  arrival->block = wanted.block;
  arrival->member = *member;
  arrival->session = core_.replicas[*member]->session;
  arrival->forward_from = core_.last_sequence + 1;
  core_.arrivals.push_back(arrival);
  filled = !stale(wanted);
  return arrival;
}

/// Those that are not in sync may lack what was forwarded to them.
void Mover::end(const std::vector<std::shared_ptr<Arrival>>& arrivals) {
  std::lock_guard lock(core_.mutex);
  std::erase_if(core_.arrivals, [&](const auto& arrival) {
    if (std::find(arrivals.begin(), arrivals.end(), arrival) == arrivals.end()) return false;
    fill_map(arrival->member).stale[raw(arrival->block)] = true;
    return true;
  });
}

bool Mover::alive(const Arrival& arrival) {
  std::lock_guard lock(core_.mutex);
  const Replica& replica = *core_.replicas[arrival.member];
  return !core_.stopped && !arrival.failed && replica.state == Replica::State::open &&
         replica.session == arrival.session;
}

Task<void> Mover::drain(BlockIndex block, std::shared_ptr<std::atomic<bool>> drained) {
  co_await core_.locks.drain(core_.geometry().range_of(block));
  *drained = true;
  core_.changed.notify();
}

/// Gives up when the member fails: the writes may be waiting for nobody but it.
Task<bool> Mover::wait_out_writes(std::shared_ptr<Arrival> arrival) {
  auto drained = std::make_shared<std::atomic<bool>>(false);  // shared: the drain may outlast us
  if (!core_.tasks.spawn(drain(arrival->block, drained))) co_return false;
  for (;;) {
    const std::uint64_t ticket = core_.changed.ticket();
    if (!alive(*arrival)) co_return false;
    if (*drained) co_return true;
    co_await core_.changed.wait(ticket, core_.now() + core_.options.io_wait);
  }
}

Task<bool> Mover::copy_one(std::shared_ptr<Work> work, BlockReplica replica) {
  bool filled = false;
  auto arrival = begin(replica, filled);
  if (!arrival) co_return false;
  bool fine = co_await wait_out_writes(arrival);
  if (fine && filled) {
    // Changes that were under way then have ended, and said so.
    std::lock_guard lock(core_.mutex);
    filled = !stale(replica);
  }
  if (fine && !filled) fine = co_await pull(work, replica, arrival->member, arrival->forward_from);
  if (fine && alive(*arrival)) {
    std::lock_guard lock(core_.mutex);
    work->arrived.push_back(arrival);
    co_return true;
  }
  const std::vector<std::shared_ptr<Arrival>> one{arrival};
  end(one);
  co_return false;
}

/// Whoever does not flush has failed.
Task<void> Mover::flush(std::shared_ptr<Work> work) {
  std::vector<Target> targets;
  {
    std::lock_guard lock(core_.mutex);
    std::set<std::size_t> seen;
    for (const auto& arrival : work->arrived) {
      if (!seen.insert(arrival->member).second) continue;
      Target target;
      target.index = arrival->member;
      target.session = arrival->session;
      target.link = core_.replicas[arrival->member]->link;
      targets.push_back(std::move(target));
    }
  }
  if (targets.empty()) co_return;
  IoRequest request;
  request.op = IoOp::flush;
  const auto answers = co_await send_to_all(core_, std::move(request), std::move(targets));
  std::lock_guard lock(core_.mutex);
  for (const Answer& answer : answers) {
    if (answer.reply.ok) continue;
    for (const auto& arrival : work->arrived) {
      if (arrival->member == answer.target.index) arrival->failed = true;
    }
  }
}

}  // namespace ukai
