// SPDX-License-Identifier: BSD-2-Clause
#pragma once

#include <map>
#include <set>

#include "simulation/sim_scheduler.h"

namespace ukai::sim {

/// Time and execution on one simulated machine: its monotonic clock began elsewhere and runs a
/// little faster or slower than the world's; while it is paused (SIGSTOP, a hypervisor's hiccup)
/// nothing runs there, though time goes on.
class MachineClock final : public Scheduler {
 public:
  /// `rate`: seconds of this clock in one of the world's.
  MachineClock(SimScheduler& world, double rate, Duration began)
      : world_(world), rate_(rate), began_(began) {}

  TimePoint now() const override;
  void post(Handler handler) override { after(Duration::zero(), std::move(handler)); }
  TimerId after(Duration delay, Handler handler) override;
  bool cancel(TimerId id) override;

  void pause() { paused_ = true; }
  /// What became due meanwhile runs now, in an order drawn from the seed.
  void resume();
  bool paused() const { return paused_; }

 private:
  struct Item {
    TimerId timer{};
    Handler handler;
  };
  void due(std::uint64_t id);

  SimScheduler& world_;
  const double rate_;
  const Duration began_;
  bool paused_ = false;
  std::uint64_t next_id_ = 1;
  std::map<std::uint64_t, Item> items_;
  std::set<std::uint64_t> held_;  ///< of items_: due while paused
};

}  // namespace ukai::sim
