// SPDX-License-Identifier: BSD-2-Clause
#include "disk/healer.h"

#include <algorithm>
#include <atomic>

#include "base/log.h"
#include "base/mutation.h"
#include "disk/heal_order.h"
#include "disk/lost_writes.h"
#include "disk/requests.h"

namespace ukai {
namespace {

constexpr std::uint64_t look_at_once = 4096;  // blocks, some hundred microseconds

}  // namespace

bool Healer::begin(Attempt& attempt) {
  std::lock_guard lock(core_.mutex);
  Replica& replica = *core_.replicas[attempt.index];
  if (replica.state != Replica::State::open || !core_.members.missing(attempt.index)) return false;
  attempt.session = replica.session;
  replica.forward_from = core_.last_sequence + 1;
  replica.healing = true;  // from here on new writes are forwarded
  return true;
}

bool Healer::alive(const Attempt& attempt) {
  std::lock_guard lock(core_.mutex);
  const Replica& replica = *core_.replicas[attempt.index];
  return !core_.stopped && replica.state == Replica::State::open &&
         replica.session == attempt.session && replica.healing;
}

void Healer::end(const Attempt& attempt) {
  {
    std::lock_guard lock(core_.mutex);
    Replica& replica = *core_.replicas[attempt.index];
    if (replica.session == attempt.session) {
      replica.healing = false;
      replica.heal_left = 0;
    }
  }
  core_.changed.notify();
}

Task<bool> Healer::heal(std::size_t index) {
  auto attempt = std::make_shared<Attempt>();
  attempt->index = index;
  if (!begin(*attempt)) co_return false;
  // 1. Writes that were planned without this member have ended.
  bool fine = co_await wait_out_writes(*attempt);
  // 2. What does it lack?
  fine = fine && co_await load_map();
  fine = fine && co_await connector_.tell_missing();
  fine = fine && co_await collect(*attempt);
  // 3. Copy that.
  fine = fine && co_await copy_all(attempt);
  // 4. Durable, then recorded.
  fine = fine && !attempt->unknown && co_await finish(*attempt);
  end(*attempt);
  co_return fine;
}

Task<void> Healer::drain(std::shared_ptr<std::atomic<bool>> drained) {
  const ByteRange all{0, core_.geometry().size_bytes};
  co_await core_.locks.drain(all);
  *drained = true;
  core_.changed.notify();
}

/// Gives up when the member fails: the writes may be waiting for nobody but it, and its session is
/// not opened again before this attempt has ended.
Task<bool> Healer::wait_out_writes(const Attempt& attempt) {
  auto drained = std::make_shared<std::atomic<bool>>(false);  // shared: the drain may outlast us
  if (!core_.tasks.spawn(drain(drained))) co_return false;
  for (;;) {
    const std::uint64_t ticket = core_.changed.ticket();
    if (!alive(attempt)) co_return false;
    if (*drained) co_return true;
    co_await core_.changed.wait(ticket, core_.now() + core_.options.io_wait);
  }
}

Task<bool> Healer::load_map() {
  constexpr std::size_t batch_max = 64;
  const Geometry geometry = core_.geometry();
  std::vector<Task<Result<MapCache::View>>> batch;
  for (std::uint64_t segment = 0; segment < geometry.segment_count(); ++segment) {
    const BlockIndex block{segment * limits::segment_blocks};
    batch.push_back(core_.map.load(block, geometry));
    if (batch.size() < batch_max && segment + 1 < geometry.segment_count()) continue;
    const auto views = co_await gather(std::exchange(batch, {}));
    for (const auto& view : views) {
      if (!view.ok()) co_return false;
    }
  }
  co_return true;
}

/// True when block's map names the member's replica and somebody else's is the up-to-date one.
bool Healer::lacks(std::size_t index, BlockIndex block) {
  const auto view = core_.map.find(block);
  if (!view) return false;
  const auto& locations = view->locations(block);
  std::lock_guard lock(core_.mutex);
  const bool here = std::any_of(locations.begin(), locations.end(), [&](const Location& location) {
    return location.node == core_.replicas[index]->node && location.status == SyncStatus::in_sync;
  });
  return here && !core_.members.is_in_sync(index, locations);
}

/// Replicas of the block that are in sync now.
std::size_t Healer::copies_of(BlockIndex block) {
  const auto view = core_.map.find(block);
  if (!view) return 0;
  std::lock_guard lock(core_.mutex);
  return core_.members.in_sync(view->locations(block)).size();
}

/// A survivor that came back only after the others were asked has not said what it knows.
bool Healer::anything_unknown(const Attempt& attempt) {
  const std::size_t index = attempt.index;
  const auto views = core_.map.loaded();
  std::lock_guard lock(core_.mutex);
  const NodeId& node = core_.replicas[index]->node;
  for (const auto& view : views) {
    for (const auto& locations : view->sets()) {
      const bool here =
          std::any_of(locations.begin(), locations.end(),
                      [&](const Location& location) { return location.node == node; });
      if (!here) continue;
      const auto current = core_.members.in_sync(locations);
      const bool known = std::any_of(current.begin(), current.end(), [&](std::size_t member) {
        return member == index || attempt.asked.contains(member);
      });
      if (!known) return true;
    }
  }
  return false;
}

Task<bool> Healer::add_list(Attempt& attempt, std::size_t asked, std::string missed_by,
                            std::set<BlockVersion>& found) {
  pb::DirtyListRequest request;
  request.set_missed_by(std::move(missed_by));
  std::shared_ptr<NodeLink> link;
  Session session{};
  {
    std::lock_guard lock(core_.mutex);
    const Replica& replica = *core_.replicas[asked];
    if (replica.state != Replica::State::open) co_return asked != attempt.index;
    *request.mutable_ref() = core_.ref(replica);
    session = replica.session;
    link = replica.link;
  }
  auto reply = co_await link->dirty_list(std::move(request));
  if (!reply) {
    core_.session_failed(asked, session, reply.error());
    co_return false;
  }
  attempt.asked.insert(asked);
  for (const BlockVersion& version : versions_in(core_, *reply)) {
    if (lacks(attempt.index, version.block)) found.insert(version);
  }
  co_return true;
}

/// What the survivors know that it missed, and what it may have applied alone before it went.
Task<bool> Healer::collect(Attempt& attempt) {
  std::set<BlockVersion> found;
  const std::string node = core_.replicas[attempt.index]->node.str();
  for (std::size_t i = 0; i < core_.member_count(); ++i) {
    const std::string missed_by = i == attempt.index ? "" : node;
    if (!co_await add_list(attempt, i, missed_by, found)) co_return false;
  }
  attempt.unknown = anything_unknown(attempt);
  const std::uint64_t block_count = core_.geometry().block_count();
  auto ordered = most_valuable_first(found, [&](BlockIndex block) { return copies_of(block); });
  std::lock_guard lock(core_.mutex);
  Replica& replica = *core_.replicas[attempt.index];
  replica.heal_unknown = attempt.unknown;
  attempt.left = std::move(ordered);
  const pb::DiskRecord& record = core_.entry.record;
  if (record.members(static_cast<int>(attempt.index)).compare_all()) {
    attempt.generation = core_.head;
    attempt.compare_end = block_count;
  }
  show_left_locked(attempt);
  co_return true;
}

void Healer::show_left_locked(const Attempt& attempt) {
  core_.replicas[attempt.index]->heal_left =
      attempt.left.size() + attempt.under_way + (attempt.compare_end - attempt.compare_next);
}

Task<bool> Healer::copy_all(std::shared_ptr<Attempt> attempt) {
  if (!attempt->left.empty() || attempt->compare_end > 0) {
    log::info("event=heal_start disk={} node={} blocks={} compare_all={}", core_.name(),
              core_.replicas[attempt->index]->node.str(), attempt->left.size(),
              attempt->compare_end > 0);
  }
  std::vector<Task<bool>> workers;
  for (std::size_t i = 0; i < limits::heal_blocks_parallel; ++i) {
    workers.push_back(copy_some(attempt));
  }
  const auto done = co_await gather(std::move(workers));
  co_return std::all_of(done.begin(), done.end(), [](bool fine) { return fine; });
}

/// What logs have listed; then, if no log tells all since another replica was declared the truth,
/// every block that the member has a location of. nullopt: there is nothing more, or a copy failed.
Task<std::optional<BlockVersion>> Healer::next_block(Attempt& attempt) {
  for (std::uint64_t looked = 1;; ++looked) {
    BlockVersion version;
    bool listed = false;
    {
      std::lock_guard lock(core_.mutex);
      if (attempt.failed) co_return std::nullopt;
      listed = !attempt.left.empty();
      if (listed) {
        version = attempt.left.front();
        attempt.left.pop_front();
      } else if (attempt.compare_next < attempt.compare_end) {
        version = {BlockIndex{attempt.compare_next++}, attempt.generation};
      } else {
        co_return std::nullopt;
      }
    }
    if (listed || lacks(attempt.index, version.block)) {
      std::lock_guard lock(core_.mutex);
      ++attempt.under_way;
      co_return version;
    }
    // A large disk of which the member has little must not hold up all others.
    if (looked % look_at_once == 0) co_await hop(core_.services.scheduler);
  }
}

Task<bool> Healer::copy_some(std::shared_ptr<Attempt> attempt) {
  for (;;) {
    const auto version = co_await next_block(*attempt);
    if (!version) break;
    const bool copied = co_await copy_block(*attempt, *version);
    std::lock_guard lock(core_.mutex);
    --attempt->under_way;
    attempt->failed = attempt->failed || !copied;
    show_left_locked(*attempt);
  }
  std::lock_guard lock(core_.mutex);
  co_return !attempt->failed;
}

Task<bool> Healer::copy_block(Attempt& attempt, BlockVersion version) {
  const auto source = source_for(core_, version.block, attempt.index);
  if (!source || !alive(attempt)) co_return false;
  const ByteRange range = core_.geometry().range_of(version.block);
  const bool holds = mutated(Mutation::holds_guest_while_healing);
  const Duration patience = holds ? core_.options.io_wait : Duration::zero();
  auto held = core_.locks.acquire(range, RangeLocks::Mode::exclusive, patience);
  std::optional<RangeLocks::Guard> guard;
  if (holds) guard.emplace(co_await std::move(held));
  const auto outcome =
      co_await copy_despite_damage(core_, version, *source, attempt.index, BlockHold::free);
  if (!outcome.ok) {
    log::warn("event=heal_failed disk={} node={} block={} what=\"{}\"", core_.name(),
              core_.replicas[attempt.index]->node.str(), raw(version.block), outcome.error.what);
  }
  co_return outcome.ok;
}

Task<bool> Healer::finish(Attempt& attempt) {
  Target target;
  target.index = attempt.index;
  target.session = attempt.session;
  {
    std::lock_guard lock(core_.mutex);
    target.link = core_.replicas[attempt.index]->link;
  }
  IoRequest flush;
  flush.op = IoOp::flush;
  const IoReply flushed = co_await send_to(core_, std::move(flush), target);
  if (!flushed.ok || !alive(attempt)) co_return false;
  LostWrites(core_).settle();
  auto present = co_await membership_.mark_present(attempt.index);
  if (!present) co_return false;
  const std::string node = core_.replicas[attempt.index]->node.str();
  log::info("event=member_present disk={} node={}", core_.name(), node);
  std::lock_guard lock(core_.mutex);
  core_.heal_wanted.erase(attempt.index);
  co_return true;
}

}  // namespace ukai
