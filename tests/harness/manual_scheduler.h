// SPDX-License-Identifier: BSD-2-Clause
#pragma once

#include <cstdint>
#include <deque>
#include <map>
#include <optional>
#include <stdexcept>

#include "ukai/scheduler.h"
#include "ukai/task.h"

namespace ukai::test {

/// A Scheduler without threads whose time stands still while there is work: handlers run in the
/// order they were posted, and when none is left, time jumps to the next timer. Deterministic.
///
/// Threads: one.
class ManualScheduler final : public Scheduler {
 public:
  TimePoint now() const override { return now_; }
  void post(Handler handler) override { ready_.push_back(std::move(handler)); }
  TimerId after(Duration delay, Handler handler) override;
  bool cancel(TimerId id) override;

  /// Runs one handler, or lets time pass to the next timer; false when nothing is left to do.
  bool step();
  /// Runs everything that is due within `time` from now.
  void run_for(Duration time);
  /// Runs what is ready, without letting time pass.
  void run_ready();

  /// Runs until `task` has finished. std::logic_error when it never will.
  template <class T>
  T run(Task<T> task) {
    std::optional<T> value;
    spawn_into<T>(std::move(task), [&value](T result) { value.emplace(std::move(result)); });
    while (!value) {
      if (!step()) throw std::logic_error("the task waits for something that never happens");
    }
    return std::move(*value);
  }

 private:
  using TimerKey = std::pair<TimePoint, std::uint64_t>;

  TimePoint now_{};
  std::deque<Handler> ready_;
  std::map<TimerKey, Handler> timers_;
  std::uint64_t next_timer_ = 1;
};

}  // namespace ukai::test
