// SPDX-License-Identifier: BSD-2-Clause
//
// Copies that other nodes are the source of: how many there are at a time, and all versions of a
// block as one.
#include <utility>

#include "node/block_pull.h"
#include "ukai/limits.h"

namespace ukai {
namespace {

constexpr Duration turn_pause = std::chrono::milliseconds(20);

}  // namespace

/// Those that the source has or this node has, of generations before the request's.
Task<Result<std::set<Generation>>> BlockPull::older_versions() {
  pb::HashRequest request;
  *request.mutable_ref() = request_.ref();
  request.mutable_ref()->set_session(0);
  request.set_block(request_.block());
  request.set_generation(request_.generation());
  request.set_length(request_.length());
  request.set_only_versions(true);
  auto reply = co_await source_->hash(std::move(request));
  if (!reply.ok()) co_return from_source(reply.code(), reply.error().what);
  co_await hop(core_->background());
  auto own = core_->store().versions(key_.disk, key_.block, false);
  if (!own.ok()) co_return own.error();
  std::set<Generation> out((*own)->begin(), (*own)->end());
  for (const std::uint64_t version : reply->versions()) out.insert(Generation{version});
  out.erase(out.lower_bound(key_.generation), out.end());
  out.erase(Generation{0});
  co_return out;
}

/// What was zeroed here just before has left no trace where nothing was; an older version must not
/// show in its place.
Result<> BlockPull::keep_covered() {
  auto admitted = step();
  if (!admitted.ok()) return admitted.error();
  const std::lock_guard turn(copy_->mutex);
  const Extent all{0, request_.length()};
  const auto gaps = copy_->covered.uncovered(all);
  if (gaps.size() == 1 && gaps.front() == all) return {};
  return core_->make_own(*disk_, key_, true);
}

/// The target of a copy is in sync as far as acknowledged changes go, unless it is being healed. If
/// the copy ends in the middle, the head must not have lost what it sees in older versions: those
/// may be gone at the source.
Result<> BlockPull::keep_head() {
  const auto head = std::exchange(head_, std::nullopt);
  return head ? core_->make_own(*disk_, *head, false) : Result<>();
}

/// In the order in which they descend from each other, so that a version that is made meanwhile, by
/// a change of the head, begins as what it should; or is compared, as the head comes last.
Task<Result<pb::PullReply>> BlockPull::run_versions() {
  co_await hop(core_->background());
  auto begun = begin();
  if (begun.ok()) begun = keep_covered();
  if (!begun.ok()) co_return begun.error();
  auto older = co_await older_versions();
  if (!older.ok()) co_return older.error();
  for (const Generation version : *older) {
    pb::PullRequest request = request_;
    request.set_generation(raw(version));
    BlockPull pull(core_, std::move(request));
    if (request_.from_sequence() == 0) pull.head_ = key_;
    auto pulled = co_await pull.run();
    if (!pulled.ok()) co_return pulled;
    reply_.set_bytes_compared(reply_.bytes_compared() + pulled->bytes_compared());
    reply_.set_bytes_fetched(reply_.bytes_fetched() + pulled->bytes_fetched());
    reply_.set_lost_units(reply_.lost_units() + pulled->lost_units());
  }
  auto done = co_await run();
  disk_->hidden.add(key_.block);  // the source may have had what nobody needs
  co_return done;
}

bool NodeCore::begin_copy() {
  if (copies_.fetch_add(1) < limits::node_copies_max) return true;
  end_copy();
  return false;
}

bool NodeCore::line_up_for_copy() {
  if (copies_lined_up_.fetch_add(1) < limits::node_copies_waiting_max) return true;
  leave_copy_line();
  return false;
}

Task<Result<pb::PullReply>> pull_block(std::shared_ptr<NodeCore> core, pb::PullRequest request) {
  const TimePoint give_up = core->scheduler().now() + limits::copy_deadline / 2;
  const Error busy{Code::busy, "the node is busy with other copies"};
  if (!core->line_up_for_copy()) co_return busy;
  bool begun = core->begin_copy();
  while (!begun && !core->closed() && core->scheduler().now() < give_up) {
    co_await sleep_for(core->scheduler(), turn_pause);
    begun = core->begin_copy();
  }
  core->leave_copy_line();
  if (!begun) co_return busy;
  Result<pb::PullReply> done = Error{Code::shut_down, ""};
  {
    const bool all = request.all_versions();
    BlockPull pull(core, std::move(request));
    if (all) {
      done = co_await pull.run_versions();
    } else {
      done = co_await pull.run();
    }
  }
  core->end_copy();
  co_return done;
}

}  // namespace ukai
