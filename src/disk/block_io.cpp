// SPDX-License-Identifier: BSD-2-Clause
#include "disk/block_io.h"

#include <fmt/format.h>

#include <algorithm>

#include "base/log.h"
#include "base/mutation.h"
#include "disk/copy.h"
#include "ukai/block_store.h"

namespace ukai {
Error BlockIo::io_error(BlockIndex block, std::string_view why) {
  return {Code::io, fmt::format("disk {} block {}: {}", core_.name(), raw(block), why)};
}

/// Notes for the next flush who has applied the change; true when all have.
bool BlockIo::count_applied(BlockIndex block, const std::vector<Answer>& answers) {
  bool all = true;
  std::lock_guard lock(core_.mutex);
  if (!core_.fill_maps.empty()) {
    std::vector<Target> targets;
    for (const Answer& answer : answers) targets.push_back(answer.target);
    note_stale(block, targets);
  }
  for (const Answer& answer : answers) {
    Replica& replica = *core_.replicas[answer.target.index];
    if (answer.reply.ok) {
      replica.changes_acked += 1;
    } else {
      // The copy may have passed this range: it begins anew.
      if (replica.session == answer.target.session) replica.healing = false;
      for (const auto& arrival : core_.arrivals) {
        if (arrival->block != block || arrival->member != replica.index) continue;
        if (arrival->session == answer.target.session) arrival->failed = true;
      }
    }
    replica.pace.add(answer.took);
    all = all && answer.reply.ok;
  }
  return all;
}

/// True when a replica that has applied the change is in sync as of now. Only that counts: one that
/// took it may have been set aside since, because of another request, and is not read from any more
/// then.
bool BlockIo::held_in_sync(BlockIndex block, const std::vector<Answer>& answers) {
  const auto view = core_.map.find(block);
  std::lock_guard lock(core_.mutex);
  const auto in_sync = core_.members.in_sync(view->locations(block));
  return std::any_of(answers.begin(), answers.end(), [&](const Answer& answer) {
    return answer.reply.ok &&
           std::find(in_sync.begin(), in_sync.end(), answer.target.index) != in_sync.end();
  });
}

/// True when somebody may take its replica of the block for an in-sync one, now or after us.
bool BlockIo::may_be_in_sync(BlockIndex block, std::size_t index) {
  const auto view = core_.map.find(block);
  std::lock_guard lock(core_.mutex);
  if (core_.replicas[index]->presenting) return true;
  const auto in_sync = core_.members.in_sync(view->locations(block));
  if (std::find(in_sync.begin(), in_sync.end(), index) != in_sync.end()) return true;
  return std::any_of(core_.arrivals.begin(), core_.arrivals.end(), [&](const auto& arrival) {
    return arrival->block == block && arrival->member == index && arrival->committing;
  });
}

/// Decides what failed answers mean. If the change is held by a replica that is in sync, those that
/// failed are recorded as missing and it counts. Otherwise `again` says whether to try once more.
Task<Result<>> BlockIo::after_failures(BlockIndex block, std::vector<Answer> answers, bool& again) {
  again = false;
  std::vector<std::size_t> failed;
  std::string reason;
  std::optional<Error> final_word;
  std::optional<Error> refusal;  // the replica is damaged there, and has changed nothing
  bool passing = false;
  for (const Answer& answer : answers) {
    if (answer.reply.ok) continue;
    if (may_be_in_sync(block, answer.target.index)) failed.push_back(answer.target.index);
    reason = answer.reply.what;
    if (!answer.target.required) continue;
    const Code code = answer.reply.code;
    if (code == Code::no_space || code == Code::io || code == Code::invalid) {
      final_word = Error{code, answer.reply.what};
    } else if (code == Code::corrupt) {
      refusal = Error{Code::corrupt, io_error(block, answer.reply.what).what};
    } else {
      passing = true;
    }
  }
  if (held_in_sync(block, answers)) {
    if (mutated(Mutation::acks_unrecorded_failure)) co_return Unit{};
    auto marked = co_await membership_.ensure_missing(std::move(failed), std::move(reason));
    if (!marked) co_return marked;
    again = !held_in_sync(block, answers);
    co_return Unit{};
  }
  if (!final_word) final_word = refusal;
  const bool taken = std::any_of(answers.begin(), answers.end(), [](const Answer& answer) {
    return answer.reply.ok && answer.target.required;
  });
  again = taken || passing || !final_word;
  if (again) co_return Unit{};
  // A replica that is being healed and took what the guest is told has failed must be compared.
  for (const Answer& answer : answers) {
    if (!answer.reply.ok) continue;
    const Error differs{Code::stale, "it took a change that the replicas in sync refused"};
    core_.session_failed(answer.target.index, answer.target.session, differs);
  }
  co_return *final_word;
}

/// A change of a part of a unit needs the rest of it. A replica that is damaged there has refused
/// and changed nothing: it gets the unit from another one, and then the change once more.
Task<void> BlockIo::mend_refusals(BlockPart part, IoRequest request, std::vector<Answer>& answers) {
  for (Answer& answer : answers) {
    if (answer.reply.ok || answer.reply.code != Code::corrupt) continue;
    const BlockPart units = Repairer::whole_units(part);
    const auto repaired = co_await repairer_.repair_held(units, answer.target.index);
    if (!repaired || repaired->repaired == 0) continue;
    answer.reply = co_await send_to(core_, request, answer.target);
  }
}

Task<Result<>> BlockIo::change(BlockPart part, IoOp op, Payload data) {
  // Whole units: their checksums have one order as well, and a repair may copy them.
  const ByteRange range = core_.geometry().range_of(Repairer::whole_units(part));
  const TimePoint deadline = core_.now() + core_.options.io_wait;
  // 1. Overlapping changes have one order on all replicas.
  const auto mode =
      mutated(Mutation::overlaps_writes) ? RangeLocks::Mode::shared : RangeLocks::Mode::exclusive;
  auto guard = core_.locks.acquire_now(range, mode);
  if (!guard.holds()) guard = co_await core_.locks.acquire(range, mode, core_.options.io_wait);
  if (!guard.holds()) co_return io_error(part.block, "an earlier write to it does not end");
  IoRequest request;
  request.op = op;
  request.block = part.block;
  request.offset_bytes = part.offset_bytes;
  request.length_bytes = part.length_bytes;
  request.data = std::move(data);
  bool sent = false;
  for (;;) {
    // 2. Which replicas take it?
    Result<Go> go = Error{Code::unreachable, ""};
    if (auto now = plan_now(part.block, true)) {
      go = std::move(*now);
    } else {
      go = co_await next_plan(part.block, true, deadline);
    }
    if (!go) {
      // It may be on some replicas: the range stays locked until they are equal again.
      if (sent && !core_.stop_reason()) core_.tasks.spawn(settle(part.block, std::move(guard)));
      co_return go.error();
    }
    // 3. All of them at once. The generation is the head's at this moment.
    request.sequence = core_.next_sequence();
    request.missing_mask = go->missing_mask;
    {
      std::lock_guard lock(core_.mutex);
      request.generation = core_.head;
    }
    sent = true;
    auto answers = co_await send_to_all(core_, request, std::move(go->targets));
    co_await mend_refusals(part, request, answers);
    if (count_applied(part.block, answers)) co_return Unit{};
    // 4. Who failed is durably set aside before the guest hears "done".
    bool again = false;
    auto done = co_await after_failures(part.block, std::move(answers), again);
    if (again && done.ok()) continue;
    // Whatever the reason: a replica that failed, for want of space say, may have taken a part.
    if (!done.ok() && !core_.stop_reason()) {
      core_.tasks.spawn(settle(part.block, std::move(guard)));
    }
    co_return done;
  }
}

/// After a change that failed to the guest: its range stays locked until the block's in-sync
/// replicas are made equal or set aside.
Task<void> BlockIo::settle(BlockIndex block, RangeLocks::Guard guard) {
  const RangeLocks::Guard held = std::move(guard);
  const auto view = core_.map.find(block);
  while (view && !core_.stop_reason()) {
    const std::uint64_t ticket = core_.changed.ticket();
    std::vector<std::size_t> open;
    std::vector<std::size_t> failed;
    BlockVersion version;
    version.block = block;
    {
      std::lock_guard lock(core_.mutex);
      version.generation = core_.head;
      for (std::size_t index : core_.members.in_sync(view->locations(block))) {
        const bool usable = core_.replicas[index]->state == Replica::State::open;
        (usable ? open : failed).push_back(index);
      }
    }
    if (open.empty()) {
      co_await core_.changed.wait(ticket, core_.now() + core_.options.io_wait);
      continue;
    }
    for (std::size_t i = 1; i < open.size() && failed.empty(); ++i) {
      const auto copied = co_await copy_block(core_, version, open[0], open[i]);
      if (!copied.ok) failed.push_back(copied.target_failed ? open[i] : open[0]);
    }
    if (failed.empty()) {
      // Whoever was copied to meanwhile may have read what is no longer so.
      std::lock_guard lock(core_.mutex);
      const std::vector<Target> nobody;
      note_stale(block, nobody);
      co_return;
    }
    auto marked = co_await membership_.ensure_missing(failed, "it failed a write");
    if (!marked) co_return;
  }
}

Task<Result<Payload>> BlockIo::read(BlockPart part, View at) {
  const ByteRange range = core_.geometry().range_of(part);
  constexpr auto mode = RangeLocks::Mode::shared;
  auto guard = core_.locks.acquire_now(range, mode);
  if (!guard.holds()) guard = co_await core_.locks.acquire(range, mode, core_.options.io_wait);
  if (!guard.holds()) co_return io_error(part.block, "a write to it does not end");
  co_return co_await read_locked(part, IoOp::read, at);
}

Task<Result<Payload>> BlockIo::extents(BlockIndex block, View at) {
  BlockPart part;
  part.block = block;
  part.length_bytes = static_cast<std::uint32_t>(core_.geometry().range_of(block).size_bytes());
  co_return co_await read_locked(part, IoOp::extents, at);
}

/// No replica has all of it undamaged: perhaps one has the one half and another the other.
Task<Result<Payload>> BlockIo::read_halves(BlockPart part, View at) {
  constexpr std::uint32_t unit = BlockStore::unit_bytes;
  const std::uint32_t end = part.offset_bytes + part.length_bytes;
  const std::uint32_t middle = (part.offset_bytes + part.length_bytes / 2 + unit - 1) / unit * unit;
  BlockPart first = part;
  first.length_bytes = std::min(middle, end) - part.offset_bytes;
  BlockPart second = part;
  second.offset_bytes = part.offset_bytes + first.length_bytes;
  second.length_bytes = end - second.offset_bytes;
  if (second.length_bytes == 0) {  // within two units, and more of it in the first
    first.length_bytes = unit - part.offset_bytes % unit;
    second.offset_bytes = part.offset_bytes + first.length_bytes;
    second.length_bytes = end - second.offset_bytes;
  }
  auto data = co_await read_locked(first, IoOp::read, at);
  if (!data.ok()) co_return data;
  auto rest = co_await read_locked(second, IoOp::read, at);
  if (!rest.ok()) co_return rest;
  data->append(*rest);
  co_return data;
}

Error BlockIo::damaged_everywhere(BlockPart part, const std::vector<std::size_t>& members) {
  for (std::size_t index : members) repairer_.report(part, index, "no good replica");
  core_.counters.damaged_units += members.size();
  return io_error(part.block,
                  fmt::format("bytes {}..{} are damaged on every replica", part.offset_bytes,
                              part.offset_bytes + part.length_bytes));
}

std::size_t BlockIo::in_sync_count(BlockIndex block) {
  const auto view = core_.map.find(block);
  std::lock_guard lock(core_.mutex);
  return core_.members.in_sync(view->locations(block)).size();
}

Task<Result<Payload>> BlockIo::read_locked(BlockPart part, IoOp op, View at) {
  const TimePoint deadline = core_.now() + core_.options.io_wait;
  IoRequest request;
  request.op = op;
  request.block = part.block;
  request.offset_bytes = part.offset_bytes;
  request.length_bytes = part.length_bytes;
  for (;;) {
    const std::uint64_t ticket = core_.changed.ticket();
    Result<Go> go = Error{Code::unreachable, ""};
    if (auto now = plan_now(part.block, false)) {
      go = std::move(*now);
    } else {
      go = co_await next_plan(part.block, false, deadline);
    }
    if (!go) co_return go.error();
    {
      std::lock_guard lock(core_.mutex);
      request.generation = at.value_or(core_.head);
    }
    std::optional<Error> final_word;
    std::vector<std::size_t> damaged;
    for (std::size_t i = 0; i < go->targets.size(); ++i) {
      const Target& target = go->targets[i];
      // A hedge may have been told already.
      if (std::find(damaged.begin(), damaged.end(), target.index) != damaged.end()) continue;
      IoReply reply;
      if (op == IoOp::read && i + 1 < go->targets.size()) {
        HedgedReads::Outcome outcome = co_await hedged_.read(request, target, go->targets[i + 1]);
        damaged.insert(damaged.end(), outcome.damaged.begin(), outcome.damaged.end());
        reply = std::move(outcome.reply);
      } else {
        reply = co_await send_to(core_, request, target);
        if (!reply.ok && reply.code == Code::corrupt) damaged.push_back(target.index);
      }
      if (reply.ok) {
        if (!damaged.empty()) core_.tasks.spawn(repairer_.repair_later(part, damaged));
        co_return std::move(reply.data);
      }
      if (reply.code != Code::corrupt && !ends_session(reply.code)) {
        final_word = Error{reply.code, reply.what};
      }
      log::warn("event=read_failed disk={} block={} node={} what=\"{}\"", core_.name(),
                raw(part.block), core_.replicas[target.index]->node.str(), reply.what);
    }
    if (!damaged.empty() && damaged.size() == go->targets.size()) {
      if (Repairer::whole_units(part).length_bytes > BlockStore::unit_bytes) {
        co_return co_await read_halves(part, at);
      }
      // One that cannot be asked now may have it: it is waited for, as when it were the only one.
      if (in_sync_count(part.block) <= damaged.size() || core_.now() >= deadline) {
        co_return damaged_everywhere(part, damaged);
      }
      co_await core_.changed.wait(ticket, deadline);
      continue;
    }
    // Every replica answered that it cannot: waiting will not change that.
    if (final_word) co_return *final_word;
    if (core_.now() >= deadline) co_return io_error(part.block, "no in-sync replica answers");
  }
}

}  // namespace ukai
