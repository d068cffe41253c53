// SPDX-License-Identifier: BSD-2-Clause
#include "disk/hedged_reads.h"

#include <algorithm>
#include <array>
#include <optional>

namespace ukai {
namespace {

using namespace std::chrono_literals;
constexpr double budget_per_read = 0.05;
constexpr double budget_max = 10;      // a burst after a quiet time
constexpr Duration delay_min = 1ms;    // below it, a second request costs more than it saves
constexpr Duration watch_pause = 2ms;  // how late a second request may be

Task<void> outlast(OneShot<bool> all_in) { co_await all_in; }

}  // namespace

/// One read: the first good answer wins, or the last bad one.
struct HedgedReads::Race {
  // Constant once the first is asked, except for `due` and the second one's beginning.
  IoRequest request;
  std::array<Target, 2> runners;
  std::array<TimePoint, 2> begun;
  TimePoint due;  // by HedgedReads::mutex_

  std::mutex mutex;
  int under_way = 1;                    // by mutex
  bool decided = false;                 // by mutex
  std::optional<OneShot<bool>> all_in;  // by mutex; once the second is asked
  std::vector<std::size_t> damaged;     // by mutex, until it is decided
  IoReply reply;                        // once it is decided
  detail::Meeting meeting;

  struct Arrival {
    bool late = false;                    ///< it is not in the outcome
    bool decides = false;                 ///< the reader may go on
    std::optional<OneShot<bool>> all_in;  ///< to be resolved: nothing more will come
  };
  Arrival arrive(std::size_t member, IoReply answer) {
    Arrival arrival;
    std::lock_guard lock(mutex);
    --under_way;
    if (under_way == 0) arrival.all_in = all_in;
    arrival.late = decided;
    if (decided) return arrival;
    if (!answer.ok && answer.code == Code::corrupt) damaged.push_back(member);
    if (!answer.ok && under_way > 0) return arrival;
    decided = arrival.decides = true;
    reply = std::move(answer);
    return arrival;
  }
  /// For the second runner; nothing: it is not needed any more.
  std::optional<OneShot<bool>> enter() {
    std::lock_guard lock(mutex);
    if (decided) return std::nullopt;
    ++under_way;
    return all_in.emplace();
  }
  bool over() {
    std::lock_guard lock(mutex);
    return decided;
  }
};

bool HedgedReads::Reading::await_suspend(std::coroutine_handle<> awaiter) {
  race_->meeting.set_awaiter(awaiter);
  return race_->meeting.must_wait();
}

HedgedReads::Outcome HedgedReads::Reading::await_resume() {
  return {std::move(race_->reply), std::move(race_->damaged)};
}

HedgedReads::HedgedReads(DiskCore& core, Repairer& repairer)
    : core_(core), repairer_(repairer), latencies_(limits::disk_nodes_max), budget_(budget_max) {}

HedgedReads::Reading HedgedReads::read(const IoRequest& request, const Target& first,
                                       const Target& second) {
  auto race = std::make_shared<Race>();
  race->request = request;
  race->runners = {first, second};
  ask(race, 0);
  if (!race->over()) wait_for(race);
  return Reading(std::move(race));
}

void HedgedReads::ask(const std::shared_ptr<Race>& race, std::size_t runner) {
  race->begun[runner] = core_.now();
  const Target& target = race->runners[runner];
  target.link->submit(
      under_session(core_, race->request, target.session), core_.options.io_deadline,
      [this, race, runner](IoReply reply) { arrived(race, runner, std::move(reply)); });
}

void HedgedReads::arrived(const std::shared_ptr<Race>& race, std::size_t runner, IoReply reply) {
  const Target& target = race->runners[runner];
  note_failure(core_, target, reply);
  {
    std::lock_guard lock(mutex_);
    latencies_[target.index].add(core_.now() - race->begun[runner]);
    if (runner == 0) budget_ = std::min(budget_ + budget_per_read, budget_max);
  }
  settle(race, runner, std::move(reply));
}

void HedgedReads::settle(const std::shared_ptr<Race>& race, std::size_t runner, IoReply reply) {
  const std::size_t member = race->runners[runner].index;
  const bool is_damaged = !reply.ok && reply.code == Code::corrupt;
  Race::Arrival arrival = race->arrive(member, std::move(reply));
  if (arrival.late && is_damaged) {
    BlockPart part;
    part.block = race->request.block;
    part.offset_bytes = static_cast<std::uint32_t>(race->request.offset_bytes);
    part.length_bytes = race->request.length_bytes;
    core_.tasks.spawn(repairer_.repair_later(part, {member}));
  }
  // The reader may end and we with him, unless a second runner is out.
  if (arrival.decides) race->meeting.finished();
  if (arrival.all_in) arrival.all_in->resolve(true);
}

void HedgedReads::wait_for(const std::shared_ptr<Race>& race) {
  {
    std::lock_guard lock(mutex_);
    const Duration mostly = latencies_[race->runners[0].index].value();
    race->due = race->begun[0] + std::clamp(mostly, delay_min, core_.options.io_deadline / 2);
    waiting_.push_back(race);
    if (std::exchange(watching_, true)) return;
  }
  core_.tasks.spawn(watch());
}

/// Runs while reads wait: one timer for all of them, which costs a fast read nothing.
Task<void> HedgedReads::watch() {
  for (;;) {
    co_await sleep_for(core_.services.scheduler, watch_pause);
    for (const auto& race : take_due()) hedge(race);
    std::lock_guard lock(mutex_);
    if (!waiting_.empty()) continue;
    watching_ = false;
    co_return;
  }
}

/// Those whose time has come and for which the budget lasts; drops what has its answer.
std::vector<std::shared_ptr<HedgedReads::Race>> HedgedReads::take_due() {
  const TimePoint now = core_.now();
  std::vector<std::shared_ptr<Race>> due;
  std::lock_guard lock(mutex_);
  std::erase_if(waiting_, [&](const std::shared_ptr<Race>& one) {
    if (one->over()) return true;
    if (one->due > now) return false;
    if (budget_ < 1) return true;
    budget_ -= 1;
    due.push_back(one);
    return true;
  });
  return due;
}

void HedgedReads::hedge(const std::shared_ptr<Race>& race) {
  auto all_in = race->enter();
  if (!all_in) return;
  core_.counters.hedged_reads += 1;
  // One of the two will answer after the read has ended: the scope lasts until then.
  if (core_.tasks.spawn(outlast(*all_in))) return ask(race, 1);
  settle(race, 1, IoReply::failed(Code::shut_down, "the disk is being detached"));
}

}  // namespace ukai
