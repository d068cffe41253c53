// SPDX-License-Identifier: BSD-2-Clause
#include "disk/job_runner.h"

#include <algorithm>

#include "base/log.h"
#include "base/unix_time.h"
#include "ukai/limits.h"

namespace ukai {
namespace {

using namespace std::chrono_literals;
constexpr Duration look_interval = 500ms;  // besides the watch: leases end without it
constexpr Duration soon = 100ms;
constexpr Duration report_interval = 1s;
constexpr Duration retry_pause = 1s;
/// Disks that nobody has may be about to be opened, or about to be taken again by who has lost a
/// session (protocol.md, "Who changes metadata").
constexpr Duration free_enough = 300ms;
constexpr Duration unclean_enough = 60s;
constexpr Duration space_patience = 10s;  // a full node may be given space
constexpr Duration sync_patience = 60s;   // of a sync whose node is away

/// Will it be otherwise when it is tried again?
bool is_final(Code code) {
  return code == Code::invalid || code == Code::not_found || code == Code::corrupt ||
         code == Code::no_space;
}

pb::ChangeDiskRequest change_request(const pb::JobRecord& job, const pb::JobMove& move, bool adds) {
  pb::ChangeDiskRequest request;
  request.set_disk_id(job.disk_id());
  request.set_asked_by(job.asked_by());
  pb::LocationChange* change =
      adds ? request.mutable_add_locations() : request.mutable_remove_locations();
  change->add_nodes(adds ? move.to() : move.from());
  change->set_begin(move.begin());
  change->set_end(move.end());
  // Only what leaves `from` comes to `to`, and leaves only where it has come.
  change->set_where(adds ? move.from() : move.to());
  return request;
}

}  // namespace

/// A job under way on this host.
struct JobRunner::Run {
  explicit Run(JobEntry loaded)
      : key(loaded.key),
        entry(std::move(loaded)),
        rate(std::make_shared<std::atomic<std::uint64_t>>(entry.record.rate_bytes_per_s())),
        bytes_before(entry.record.bytes_moved()),
        shown(entry.record) {}

  const JobKey key;
  AsyncMutex turn;  ///< one change of the record at a time
  JobEntry entry;   ///< by turn: as it was written or read last
  const std::shared_ptr<std::atomic<std::uint64_t>> rate;
  const std::uint64_t bytes_before;  ///< moved by those that ran it before
  std::atomic<bool> cancel{false};
  std::atomic<bool> gone{false};  ///< there is no record any more
  std::atomic<bool> over{false};
  // -- of its steps alone
  TimePoint no_space_since = TimePoint::max();
  TimePoint waits_since{};
  std::uint64_t left_before = 0;
  bool stuck = false;  ///< it ends, for a reason that may pass

  std::mutex mutex;
  pb::JobRecord shown;  ///< by mutex: what the record is to say

  bool ends() const { return cancel || gone; }
};

JobRunner::JobRunner(Catalog& catalog, Scheduler& scheduler, JobHost& host)
    : catalog_(catalog),
      scheduler_(scheduler),
      host_(host),
      store_(catalog.coordination(), scheduler),
      changed_(std::make_shared<Notifier>(scheduler)) {}

void JobRunner::start() { tasks_.spawn(loop()); }

void JobRunner::ask_to_stop() {
  stopping_ = true;
  changed_->notify();
}

Task<void> JobRunner::stop() {
  ask_to_stop();
  co_await tasks_.close();
}

Task<void> JobRunner::loop() {
  const auto watch = store_.watch_active([changed = changed_] { changed->notify(); });
  while (!stopping_) {
    const std::uint64_t ticket = changed_->ticket();
    const bool waits = co_await look();
    const Duration pause = waits ? soon : look_interval;
    co_await changed_->wait(ticket, scheduler_.now() + pause);
  }
}

/// Begins what may be begun. True: something may be soon.
Task<bool> JobRunner::look() {
  auto keys = co_await store_.active();
  if (!keys) co_return false;  // ZooKeeper is away: what runs goes on
  bool waits = false;
  std::set<DiskId> seen;
  for (const JobKey& key : *keys) {
    if (!seen.insert(key.disk).second) continue;  // one at a time, in the order they came
    {
      std::lock_guard lock(mutex_);
      if (running_.contains(key.disk) || running_.size() >= limits::jobs_parallel) continue;
    }
    const Now now = stopping_ ? Now::no : co_await may_run(key);
    waits = waits || now == Now::soon;
    if (now != Now::yes) continue;
    {
      std::lock_guard lock(mutex_);
      running_.insert(key.disk);
    }
    if (!tasks_.spawn(run(key))) co_return false;
  }
  std::erase_if(free_since_, [&](const auto& item) { return !seen.contains(item.first); });
  co_return waits;
}

/// Of disks that others hold, they run the jobs.
Task<JobRunner::Now> JobRunner::may_run(JobKey key) {
  if (host_.holds(key.disk)) co_return Now::yes;
  auto lease = co_await catalog_.lease_of(key.disk);
  if (!lease) co_return Now::no;
  if (*lease && (*lease)->record.holder() != host_.host_id().str()) {
    free_since_.erase(key.disk);
    co_return Now::no;
  }
  auto disk = co_await catalog_.load_disk(key.disk);
  if (!disk) co_return Now::no;
  const pb::DiskRecord& record = disk->record;
  // Who had it last is asked first by whoever opens it, and need not wait for others: of an earlier
  // process of ours, nothing is left that could want it.
  if (record.last_holder() == host_.host_id().str()) co_return Now::yes;
  const bool clean = record.released_epoch() == record.epoch();
  const TimePoint since = free_since_.try_emplace(key.disk, scheduler_.now()).first->second;
  if (scheduler_.now() - since >= (clean ? free_enough : unclean_enough)) co_return Now::yes;
  co_return clean ? Now::soon : Now::no;
}

Task<void> JobRunner::run(JobKey key) {
  auto loaded = co_await store_.load(key);
  if (loaded.ok() && !has_ended(loaded->record)) {
    auto run = std::make_shared<Run>(std::move(*loaded));
    run->cancel = run->entry.record.cancel();
    tasks_.spawn(report(run));
    Result<> done = co_await work(run);
    co_await finish(run, std::move(done));
  }
  std::lock_guard lock(mutex_);
  running_.erase(key.disk);
}

Task<Result<>> JobRunner::work(Runs run) {
  auto borrowed = co_await host_.borrow_for_job(run->key.disk);
  if (!borrowed) co_return borrowed.error();
  {
    std::lock_guard lock(run->mutex);
    run->shown.set_state(pb::JobRecord::RUNNING);
    run->shown.set_runner(host_.host_id().str());
    if (run->shown.started_unix_s() == 0) run->shown.set_started_unix_s(unix_now_s());
  }
  auto written = co_await write(run);
  if (!written) co_return written;
  Disk& disk = *borrowed->disk;
  if (run->ends()) co_return co_await take_back(run, disk);
  auto done = co_await move(run, disk);
  const bool failed = !done && (run->stuck || is_final(done.code()));
  // What has not arrived is no more than it was before; the disk is as safe as before.
  if (failed || run->cancel) {
    auto back = co_await take_back(run, disk);
    if (!back) co_return back;
  }
  co_return done;
}

Task<Result<>> JobRunner::move(Runs run, Disk& disk) {
  pb::JobRecord job;
  {
    std::lock_guard lock(run->mutex);
    job = run->shown;
  }
  for (const pb::JobMove& move : job.moves()) {
    auto added = co_await disk.change(change_request(job, move, true));
    // What the node held of the disk before is still to be deleted there.
    while (added.failed_with(Code::busy) && !run->ends() && !stopping_) {
      note(run, added.error().what);
      co_await sleep_for(scheduler_, retry_pause);
      added = co_await disk.change(change_request(job, move, true));
    }
    if (!added) co_return added.error();
  }
  for (;;) {
    auto copied = co_await copy(run, disk);
    if (!copied) co_return copied;
    Result<> removed;
    for (const pb::JobMove& move : job.moves()) {
      if (move.from().empty()) continue;
      auto changed = co_await disk.change(change_request(job, move, false));
      if (!changed) removed = changed.error();
    }
    // A node that has failed since it had everything is healed, and then not the last any more.
    if (!removed.failed_with(Code::refused) || run->ends() || stopping_) co_return removed;
    note(run, removed.error().what);
    co_await sleep_for(scheduler_, retry_pause);
  }
}

void JobRunner::note(const Runs& run, std::string why) {
  std::lock_guard lock(run->mutex);
  run->shown.set_why(std::move(why));
}

Task<Result<>> JobRunner::copy(Runs run, Disk& disk) {
  MoveTerms terms;
  terms.rate_bytes_per_s = run->rate;
  run->waits_since = scheduler_.now();
  {
    std::lock_guard lock(run->mutex);
    for (const pb::JobMove& move : run->shown.moves()) {
      terms.parts.push_back(
          {NodeId(move.to()), {BlockIndex{move.begin()}, BlockIndex{move.end()}}});
    }
    if (run->shown.kind() == pb::JobRecord::SYNC) {
      const std::uint64_t count = disk.geometry().block_count();
      const std::uint64_t end = run->shown.end() == 0 ? count : std::min(run->shown.end(), count);
      terms.parts.push_back({NodeId(), {BlockIndex{run->shown.begin()}, BlockIndex{end}}});
    }
  }
  std::optional<Error> stuck;
  auto progress = [this, run, &stuck](const SyncState& state) {
    stuck = tell(run, state);
    return !stuck && !run->ends() && !stopping_;
  };
  auto done = co_await disk.sync(std::move(terms), progress);
  if (stuck) {
    run->stuck = true;
    co_return *stuck;
  }
  co_return done;
}

/// Puts into the record how far it is. An error: it cannot go on.
std::optional<Error> JobRunner::tell(const Runs& run, const SyncState& state) {
  const TimePoint now = scheduler_.now();
  const bool no_space = state.error && state.error->code == Code::no_space;
  run->no_space_since = no_space ? std::min(run->no_space_since, now) : TimePoint::max();
  if (no_space && now - run->no_space_since >= space_patience) return state.error;
  std::lock_guard lock(run->mutex);
  pb::JobRecord& shown = run->shown;
  const bool advances = state.waiting.empty() || state.left != run->left_before;
  run->left_before = state.left;
  if (advances) run->waits_since = now;
  // What was asked for once is not to lie in wait for ever; a move is meant to be.
  if (shown.kind() == pb::JobRecord::SYNC && now - run->waits_since >= sync_patience) {
    return Error{Code::unreachable, "cannot be brought in sync now: " + state.waiting};
  }
  const std::uint64_t left = state.left - std::min(state.filled, state.left);
  const std::uint64_t total = std::max(shown.replicas_total(), shown.replicas_done() + left);
  shown.set_replicas_total(total);
  shown.set_replicas_done(std::max(shown.replicas_done(), total - left));
  shown.set_bytes_moved(run->bytes_before + state.bytes_moved);
  shown.set_why(!state.waiting.empty() ? state.waiting : state.error ? state.error->what : "");
  return std::nullopt;
}

/// Locations that have not been brought in sync go again; what has arrived stays.
Task<Result<>> JobRunner::take_back(Runs run, Disk& disk) {
  pb::JobRecord job;
  {
    std::lock_guard lock(run->mutex);
    job = run->shown;
  }
  for (const pb::JobMove& move : job.moves()) {
    pb::ChangeDiskRequest request;
    request.set_disk_id(job.disk_id());
    request.set_asked_by(job.asked_by());
    pb::LocationChange* change = request.mutable_remove_locations();
    change->add_nodes(move.to());
    change->set_begin(move.begin());
    change->set_end(move.end());
    change->set_only_out_of_sync(true);
    auto done = co_await disk.change(std::move(request));
    if (!done && !is_final(done.code())) co_return done.error();
  }
  co_return Unit{};
}

/// Ends the job in the record, or leaves it to the next attempt.
Task<void> JobRunner::finish(Runs run, Result<> done) {
  const bool fails = !done && (run->stuck || is_final(done.code()));
  const bool ends = !run->gone && (done.ok() || run->cancel || fails);
  bool news = ends;
  {
    std::lock_guard lock(run->mutex);
    pb::JobRecord& shown = run->shown;
    news = news || (!done.ok() && shown.why() != done.error().what);
    if (run->cancel && (done.ok() || done.failed_with(Code::shut_down))) {
      shown.set_state(pb::JobRecord::CANCELLED);
      shown.set_why("");
    } else if (done.ok()) {
      shown.set_state(pb::JobRecord::DONE);
      shown.set_replicas_done(shown.replicas_total());
      shown.set_why("");
    } else if (fails) {
      shown.set_state(pb::JobRecord::FAILED);
      shown.set_why(done.error().what);
      shown.set_error(std::string(to_string(done.code())));
    } else if (!done.failed_with(Code::busy) && !done.failed_with(Code::shut_down)) {
      shown.set_why(done.error().what);
    }
    if (has_ended(shown)) shown.set_ended_unix_s(unix_now_s());
  }
  // The end is written whatever happens to ZooKeeper, or the job would run once more.
  while (ends && !run->gone && !stopping_) {
    auto written = co_await write(run);
    if (written) break;
    co_await sleep_for(scheduler_, retry_pause);
  }
  run->over = true;
  if (!ends) co_await sleep_for(scheduler_, retry_pause);
  if (!news) co_return;
  const pb::JobRecord& record = run->entry.record;
  log::info("event=job disk={} job={} state={} what=\"{}\"", record.disk_name(), record.id(),
            pb::JobRecord::State_Name(run->shown.state()), done.ok() ? "" : done.error().what);
}

/// Once a second: what others have put into the record, and what is new here.
Task<void> JobRunner::report(Runs run) {
  while (!run->over && !stopping_) {
    co_await sleep_for(scheduler_, report_interval);
    if (!run->over) static_cast<void>(co_await write(run));
  }
}

/// Writes what the record is to say, and takes over what others have written: rate and cancel.
Task<Result<>> JobRunner::write(Runs run) {
  auto turn = co_await run->turn.lock();
  for (;;) {
    auto now = co_await store_.load(run->key);
    if (now.failed_with(Code::not_found)) run->gone = true;
    if (!now) co_return now.error();
    if (has_ended(now->record)) {
      run->gone = true;  // somebody else has ended it
      co_return Unit{};
    }
    run->rate->store(now->record.rate_bytes_per_s());
    if (now->record.cancel()) run->cancel = true;
    run->entry = *now;
    pb::JobRecord changed;
    {
      std::lock_guard lock(run->mutex);
      run->shown.set_rate_bytes_per_s(now->record.rate_bytes_per_s());
      run->shown.set_cancel(now->record.cancel());
      run->shown.set_op(now->record.op());
      changed = run->shown;
    }
    if (changed.SerializeAsString() == now->record.SerializeAsString()) co_return Unit{};
    auto written = co_await store_.update(std::move(*now), std::move(changed));
    if (written.ok()) run->entry = std::move(*written);
    if (written.failed_with(Code::stale)) continue;
    if (!written) co_return written.error();
    co_return Unit{};
  }
}

}  // namespace ukai
