// SPDX-License-Identifier: BSD-2-Clause
#include "disk/hedged_reads.h"

#include <algorithm>

namespace ukai {
namespace {

using namespace std::chrono_literals;
constexpr double budget_per_read = 0.05;
constexpr double budget_max = 10;      // a burst after a quiet time
constexpr Duration delay_min = 1ms;    // below it, a second request costs more than it saves
constexpr Duration watch_pause = 2ms;  // how late a second request may be

}  // namespace

/// One read: the first good answer wins, or the last bad one.
struct HedgedReads::Race {
  std::mutex mutex;
  int under_way = 1;                 // by mutex
  bool decided = false;              // by mutex
  std::vector<std::size_t> damaged;  // by mutex
  OneShot<Outcome> winner;

  /// False: it comes too late to be in the outcome.
  bool arrive(std::size_t member, IoReply reply) {
    Outcome outcome;
    {
      std::lock_guard lock(mutex);
      --under_way;
      if (decided) return false;
      if (!reply.ok && reply.code == Code::corrupt) damaged.push_back(member);
      if (!reply.ok && under_way > 0) return true;
      decided = true;
      outcome.damaged = damaged;
    }
    outcome.reply = std::move(reply);
    winner.resolve(std::move(outcome));
    return true;
  }
  bool enter() {
    std::lock_guard lock(mutex);
    if (!decided) ++under_way;
    return !decided;
  }
  bool over() {
    std::lock_guard lock(mutex);
    return decided;
  }
};

HedgedReads::HedgedReads(DiskCore& core, Repairer& repairer)
    : core_(core), repairer_(repairer), latencies_(limits::disk_nodes_max), budget_(budget_max) {}

Task<HedgedReads::Outcome> HedgedReads::read(IoRequest request, Target first, Target second) {
  auto race = std::make_shared<Race>();
  OneShot<Outcome> winner = race->winner;
  Waiting waiting{race, core_.now(), request, std::move(second)};
  const std::size_t index = first.index;
  if (!ask(race, std::move(request), std::move(first))) {
    Outcome ended;
    ended.reply = IoReply::failed(Code::shut_down, "the disk is being detached");
    co_return ended;
  }
  {
    std::lock_guard lock(mutex_);
    budget_ = std::min(budget_ + budget_per_read, budget_max);
    waiting.due += std::clamp(latencies_[index].value(), delay_min, core_.options.io_deadline / 2);
  }
  if (!race->over()) wait_for(std::move(waiting));
  co_return co_await winner;
}

bool HedgedReads::ask(std::shared_ptr<Race> race, IoRequest request, Target target) {
  return core_.tasks.spawn(ask_one(std::move(race), std::move(request), std::move(target)));
}

Task<void> HedgedReads::ask_one(std::shared_ptr<Race> race, IoRequest request, Target target) {
  const TimePoint begin = core_.now();
  const std::size_t index = target.index;
  BlockPart part;
  part.block = request.block;
  part.offset_bytes = static_cast<std::uint32_t>(request.offset_bytes);
  part.length_bytes = request.length_bytes;
  IoReply reply = co_await send_to(core_, std::move(request), std::move(target));
  const bool is_damaged = !reply.ok && reply.code == Code::corrupt;
  {
    std::lock_guard lock(mutex_);
    latencies_[index].add(core_.now() - begin);
  }
  if (race->arrive(index, std::move(reply)) || !is_damaged) co_return;
  std::vector<std::size_t> member{index};
  co_await repairer_.repair_later(part, std::move(member));
}

void HedgedReads::wait_for(Waiting waiting) {
  {
    std::lock_guard lock(mutex_);
    waiting_.push_back(std::move(waiting));
    if (std::exchange(watching_, true)) return;
  }
  core_.tasks.spawn(watch());
}

/// Runs while reads wait: one timer for all of them, which costs a fast read nothing.
Task<void> HedgedReads::watch() {
  for (;;) {
    co_await sleep_for(core_.services.scheduler, watch_pause);
    for (Waiting& due : take_due()) {
      if (!due.race->enter()) continue;
      const std::size_t member = due.second.index;
      core_.counters.hedged_reads += 1;
      if (!ask(due.race, std::move(due.request), std::move(due.second))) {
        due.race->arrive(member, IoReply::failed(Code::shut_down, "the disk is being detached"));
      }
    }
    std::lock_guard lock(mutex_);
    if (!waiting_.empty()) continue;
    watching_ = false;
    co_return;
  }
}

/// Those whose time has come and for which the budget lasts; drops what has its answer.
std::vector<HedgedReads::Waiting> HedgedReads::take_due() {
  const TimePoint now = core_.now();
  std::vector<Waiting> due;
  std::lock_guard lock(mutex_);
  std::erase_if(waiting_, [&](Waiting& one) {
    if (one.race->over()) return true;
    if (one.due > now) return false;
    if (budget_ < 1) return true;
    budget_ -= 1;
    due.push_back(std::move(one));
    return true;
  });
  return due;
}

}  // namespace ukai
