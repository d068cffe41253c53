// SPDX-License-Identifier: BSD-2-Clause
//
// What the operator asks of an attached disk as a whole: sync, verify and scrub.
#include <algorithm>

#include "disk/disk.h"
#include "disk/requests.h"

namespace ukai {
namespace {

using namespace std::chrono_literals;
constexpr Duration report_interval = 500ms;
constexpr Duration pause_between_rounds = 100ms;
constexpr Duration verify_patience = 10s;
constexpr std::size_t verify_parallel = 4;
constexpr std::uint64_t verify_report_blocks = 64;

}  // namespace

/// Members that are missing, as far as they concern a sync of everything.
Disk::Healing Disk::healing() {
  Healing out;
  std::lock_guard lock(core_.mutex);
  for (const auto& replica : core_.replicas) {
    if (core_.members.gone(replica->index)) continue;
    const bool missing = core_.members.missing(replica->index);
    if (missing) {
      core_.heal_wanted.insert(replica->index);
      ++out.members;
      out.blocks_left += replica->heal_left;
    }
    const bool away = missing ? !replica->healing : replica->state != Replica::State::open;
    if (away) out.waiting = replica->node.str() + ": " + replica->last_error;
  }
  return out;
}

/// Why a node of the terms cannot be copied to now; empty: all can.
std::string Disk::waits_for(const MoveTerms& terms) {
  std::lock_guard lock(core_.mutex);
  for (const MoveTerms::Part& part : terms.parts) {
    const auto member = core_.members.index_of(part.node);
    if (!member || core_.members.gone(*member)) continue;
    const Replica& replica = *core_.replicas[*member];
    if (replica.state == Replica::State::open && !core_.members.missing(*member)) continue;
    return "node " + part.node.str() + ": " + replica.last_error;
  }
  return "";
}

Task<Result<>> Disk::sync(MoveTerms terms, std::function<bool(const SyncState&)> progress) {
  const bool heals = std::any_of(terms.parts.begin(), terms.parts.end(),
                                 [](const MoveTerms::Part& part) { return part.node.empty(); });
  Mover::Progress moved;
  mover_.begin_filling();
  const std::uint64_t bytes_before = core_.counters.healed_bytes;
  if (heals) static_cast<void>(healing());
  core_.changed.notify();
  Result<> done;
  for (;;) {
    const std::uint64_t ticket = core_.changed.ticket();
    if (auto reason = core_.stop_reason()) {
      done = *reason;
      break;
    }
    done = co_await mover_.count(terms, moved);
    if (!done) break;
    const Healing missing = heals ? healing() : Healing();
    SyncState state;
    state.left = moved.left + missing.blocks_left;
    state.filled = moved.filled;
    state.bytes_moved = core_.counters.healed_bytes - bytes_before;
    state.waiting = heals ? missing.waiting : waits_for(terms);
    state.finished = missing.members == 0 && moved.left == 0 && (heals || state.waiting.empty());
    state.error = moved.error;
    if (!progress(state)) {
      done = Error{Code::shut_down, "the caller went away"};
      break;
    }
    if (state.finished) break;
    if (moved.left > 0) {
      auto some = co_await mover_.step(terms, moved);
      if (!some) {
        done = some.error();
        break;
      }
      if (*some) continue;
      // A step that came to nothing is news itself: the next one is not due before some time.
      co_await sleep_for(core_.services.scheduler, pause_between_rounds);
    }
    co_await core_.changed.wait(ticket, core_.now() + report_interval);
  }
  mover_.end_filling();
  co_return done;
}

/// Holds the block still, asks every in-sync replica for its hash, and compares.
/// A node that has just lost its session gets it back within moments: worth another try.
Task<Result<bool>> Disk::block_differs(BlockIndex block, pb::Difference& difference) {
  const TimePoint deadline = core_.now() + verify_patience;
  for (;;) {
    const std::uint64_t ticket = core_.changed.ticket();
    difference.Clear();
    auto differs = co_await compare_block(block, difference);
    const bool passing =
        !differs && (differs.code() == Code::unreachable || differs.code() == Code::not_admitted ||
                     differs.code() == Code::stale);
    if (!passing || core_.stop_reason() || core_.now() >= deadline) co_return differs;
    co_await core_.changed.wait(ticket, core_.now() + report_interval);
  }
}

Task<Result<bool>> Disk::compare_block(BlockIndex block, pb::Difference& difference) {
  const Geometry geometry = core_.geometry();
  auto view = co_await core_.map.load(block, geometry);
  if (!view) co_return view.error();
  const ByteRange range = geometry.range_of(block);
  auto guard = co_await core_.locks.acquire(range, RangeLocks::Mode::shared, core_.options.io_wait);
  if (!guard.holds()) co_return Error{Code::io, "a write to a block does not end"};
  std::vector<Task<Result<pb::HashReply>>> asking;
  std::vector<std::string> names;
  std::vector<std::pair<std::size_t, Session>> asked;
  {
    std::lock_guard lock(core_.mutex);
    for (std::size_t index : core_.members.in_sync((*view)->locations(block))) {
      const Replica& replica = *core_.replicas[index];
      if (replica.state != Replica::State::open) {
        co_return Error{Code::unreachable, "node " + replica.node.str() + " cannot be asked"};
      }
      pb::HashRequest request;
      *request.mutable_ref() = core_.ref(replica);
      request.set_block(raw(block));
      request.set_generation(raw(core_.head));
      request.set_length(static_cast<std::uint32_t>(range.size_bytes()));
      asking.push_back(replica.link->hash(std::move(request)));
      names.push_back(replica.node.str());
      asked.emplace_back(index, replica.session);
    }
  }
  auto hashes = co_await gather(std::move(asking));
  std::optional<std::string> first;
  for (std::size_t i = 0; i < hashes.size(); ++i) {
    if (hashes[i].failed_with(Code::corrupt)) {
      difference.add_nodes(names[i]);  // damaged: it has no content that could be equal
      continue;
    }
    if (!hashes[i]) {
      if (ends_session(hashes[i].code())) {
        core_.session_failed(asked[i].first, asked[i].second, hashes[i].error());
      }
      co_return Error{hashes[i].code(), "node " + names[i] + ": " + hashes[i].error().what};
    }
    if (!first) first = hashes[i]->hashes();
    if (hashes[i]->hashes() != *first) difference.add_nodes(names[i]);
  }
  difference.set_block(raw(block));
  co_return difference.nodes_size() > 0;
}

Task<Result<>> Disk::verify(std::function<bool(const pb::VerifyProgress&)> progress) {
  const std::uint64_t total = core_.geometry().block_count();
  pb::VerifyProgress report;
  report.set_blocks_total(total);
  for (std::uint64_t first = 0; first < total; first += verify_parallel) {
    const std::uint64_t end = std::min<std::uint64_t>(first + verify_parallel, total);
    std::vector<pb::Difference> differences(end - first);
    std::vector<Task<Result<bool>>> batch;
    for (std::uint64_t block = first; block < end; ++block) {
      batch.push_back(block_differs(BlockIndex{block}, differences[block - first]));
    }
    auto answers = co_await gather(std::move(batch));
    for (std::size_t i = 0; i < answers.size(); ++i) {
      if (!answers[i]) co_return answers[i].error();
      if (*answers[i]) *report.add_differences() = differences[i];
    }
    report.set_blocks_done(end);
    report.set_finished(end == total);
    if (end % verify_report_blocks != 0 && end != total) continue;
    if (!progress(report)) co_return Error{Code::shut_down, "the caller went away"};
    report.clear_differences();
  }
  co_return Unit{};
}

/// On every in-sync replica. Nothing is held while they are looked at: a node keeps changes of what
/// it checks apart by itself.
Task<Result<Repairer::Outcome>> Disk::scrub_part(BlockPart part) {
  const TimePoint deadline = core_.now() + verify_patience;
  Repairer::Outcome total;
  std::vector<std::size_t> members;
  const auto view = core_.map.find(part.block);
  {
    std::lock_guard lock(core_.mutex);
    members = core_.members.in_sync(view->locations(part.block));
  }
  for (std::size_t i = 0; i < members.size();) {
    const std::uint64_t ticket = core_.changed.ticket();
    auto bad = co_await repairer_.look(part, members[i]);
    if (bad.ok() && bad->empty()) {
      ++i;
      continue;
    }
    if (bad.ok()) {
      std::vector<std::size_t> one{members[i]};
      auto repaired = co_await repairer_.repair(part, one);
      if (repaired.ok() && !repaired->undecided) {
        total.damaged += repaired->damaged;
        total.repaired += repaired->repaired;
        ++i;
        continue;
      }
      if (repaired.ok()) {  // the rest is looked at again
        total.damaged += repaired->repaired;
        total.repaired += repaired->repaired;
        bad = Error{Code::unreachable, "a node with a good replica cannot be asked"};
      } else {
        bad = repaired.error();
      }
    }
    // A node that has just lost its session gets it back within moments.
    if (core_.stop_reason() || core_.now() >= deadline) co_return bad.error();
    co_await core_.changed.wait(ticket, core_.now() + report_interval);
    std::lock_guard lock(core_.mutex);
    if (core_.members.missing(members[i])) ++i;  // it is healed instead
  }
  co_return total;
}

Task<Result<Repairer::Outcome>> Disk::scrub_block(BlockIndex block) {
  auto view = co_await core_.map.load(block, core_.geometry());
  if (!view) co_return view.error();
  Repairer::Outcome total;
  const auto size = static_cast<std::uint32_t>(core_.geometry().range_of(block).size_bytes());
  BlockPart part;
  part.block = block;
  while (part.offset_bytes < size) {
    part.length_bytes = std::min(size - part.offset_bytes, limits::io_bytes_max);
    auto done = co_await scrub_part(part);
    if (!done) co_return done.error();
    total.damaged += done->damaged;
    total.repaired += done->repaired;
    part.offset_bytes += part.length_bytes;
  }
  co_return total;
}

Task<Result<>> Disk::scrub(std::function<bool(const pb::ScrubProgress&)> progress) {
  const std::uint64_t total = core_.geometry().block_count();
  pb::ScrubProgress report;
  report.set_blocks_total(total);
  for (std::uint64_t first = 0; first < total; first += verify_parallel) {
    const std::uint64_t end = std::min<std::uint64_t>(first + verify_parallel, total);
    std::vector<Task<Result<Repairer::Outcome>>> batch;
    for (std::uint64_t block = first; block < end; ++block) {
      batch.push_back(scrub_block(BlockIndex{block}));
    }
    auto answers = co_await gather(std::move(batch));
    for (const auto& answer : answers) {
      if (!answer) co_return answer.error();
      report.set_damaged_units(report.damaged_units() + answer->damaged);
      report.set_repaired_units(report.repaired_units() + answer->repaired);
    }
    report.set_blocks_done(end);
    report.set_finished(end == total);
    if (end % verify_report_blocks != 0 && end != total) continue;
    if (!progress(report)) co_return Error{Code::shut_down, "the caller went away"};
  }
  co_return Unit{};
}

}  // namespace ukai
