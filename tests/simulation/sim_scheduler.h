// SPDX-License-Identifier: BSD-2-Clause
#pragma once

#include <cstdint>
#include <map>
#include <random>
#include <set>

#include "ukai/scheduler.h"

namespace ukai::sim {

/// Virtual time on one thread. What is due at the same moment runs in an order drawn from the seed,
/// so one seed is one execution.
class SimScheduler final : public Scheduler {
 public:
  explicit SimScheduler(std::uint64_t seed) : random_(seed) {}

  TimePoint now() const override { return now_; }
  void post(Handler handler) override { after(Duration::zero(), std::move(handler)); }
  TimerId after(Duration delay, Handler handler) override;
  bool cancel(TimerId id) override;

  /// Runs handlers until `done()` or until `limit` of virtual time has passed; true: done.
  template <class Done>
  bool run_until(Done done, Duration limit) {
    const TimePoint end = now_ + limit;
    while (!done()) {
      if (!step(end)) return done();
    }
    return true;
  }
  void run_for(Duration time) {
    run_until([] { return false; }, time);
  }

  std::mt19937_64& random() { return random_; }
  std::uint64_t below(std::uint64_t bound) { return random_() % bound; }
  Duration between(Duration low, Duration high) {
    return low + Duration(static_cast<std::int64_t>(
                     below(static_cast<std::uint64_t>((high - low).count()) + 1)));
  }

 private:
  struct Key {
    TimePoint when;
    std::uint64_t order;  ///< drawn; breaks ties
    std::uint64_t id;
    auto operator<=>(const Key&) const = default;
  };
  bool step(TimePoint end);

  std::mt19937_64 random_;
  TimePoint now_{std::chrono::seconds(1)};
  std::uint64_t next_id_ = 1;
  std::map<Key, Handler> queue_;
  std::map<std::uint64_t, Key> keys_;
};

}  // namespace ukai::sim
