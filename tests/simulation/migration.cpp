// SPDX-License-Identifier: BSD-2-Clause
//
// The guest migrates live, as QEMU does it: the destination opens the disk while the source still
// runs, the source drains, flushes, lets its write lock go; then the destination locks and writes.
#include "simulation/guest.h"

namespace ukai::sim {

using namespace std::chrono_literals;

namespace {

constexpr Duration patience = 5s;  // then the migration is cancelled

}  // namespace

void Guest::migrate_to(std::size_t host) {
  if (!handle_ || migrating_ || host == host_) return;
  migrating_ = true;
  spawn(do_migrate(host));
}

Task<void> Guest::do_migrate(std::size_t host) {
  const std::uint64_t era = era_;
  world_.trace("guest: begins to migrate to " + world_.hosts[host]->id.str());
  auto opened = co_await world_.hosts[host]->disks->open(disk_, OpenMode::read_write);
  migrating_ = false;
  if (!opened || era != era_ || !handle_) co_return;
  migrating_ = true;
  const auto source = std::exchange(handle_, nullptr);
  const bool stopped = co_await stop_on(source, era);
  migrating_ = false;
  if (era != era_) co_return;
  const auto dice = world_.scheduler.below(10);
  if (stopped && dice > 0) source->note_write_lock(false);
  if (!stopped || dice <= 1) {
    world_.trace("guest: the migration is cancelled");
    source->note_write_lock(true);
    handle_ = source;
    co_return;
  }
  world_.trace("guest: has migrated");
  ++migrations_;
  (*opened)->note_write_lock(true);
  host_ = opened_on_ = host;
  handle_ = *opened;
  left_ = source;
}

/// QEMU's STOP: nothing is under way any more, and everything is durable. False: not in time.
Task<bool> Guest::stop_on(std::shared_ptr<OpenDisk> source, std::uint64_t era) {
  const TimePoint deadline = world_.scheduler.now() + patience;
  while (era == era_ && under_way_ > 0) {
    if (world_.scheduler.now() > deadline) co_return false;
    co_await sleep_for(world_.scheduler, 1ms);
  }
  const std::uint64_t begun = model_.now();
  const std::uint64_t losses = world_.power_losses;
  const auto flushed = co_await source->flush();
  if (flushed.ok() && era == era_ && losses == world_.power_losses) model_.flushed(begun);
  if (flushed.failed_with(Code::io)) model_.flush_failed();
  co_return flushed.ok();
}

}  // namespace ukai::sim
