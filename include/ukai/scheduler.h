// SPDX-License-Identifier: BSD-2-Clause
#pragma once

#include <chrono>
#include <coroutine>
#include <cstdint>
#include <functional>

namespace ukai {

/// Monotonic time. The wall clock is used for display only and decides nothing.
using Duration = std::chrono::nanoseconds;
using TimePoint = std::chrono::time_point<std::chrono::steady_clock, Duration>;

/// Where time comes from and deferred work runs: the seam between the core and a real event loop
/// (src/base/asio_scheduler) or the simulator's seeded one.
///
/// Threads: every function is safe from any thread. Handlers run on the scheduler's own threads,
/// never inside the call that registered them.
class Scheduler {
 public:
  using Handler = std::function<void()>;
  enum class TimerId : std::uint64_t {};

  virtual ~Scheduler() = default;
  virtual TimePoint now() const = 0;
  virtual void post(Handler handler) = 0;
  /// Runs `handler` once, not before `delay` has passed.
  virtual TimerId after(Duration delay, Handler handler) = 0;
  /// False when the handler has run, runs now or is about to; true: it will never run.
  virtual bool cancel(TimerId id) = 0;
};

/// What sleep_for and hop return: to be awaited at once. The coroutine is suspended before the
/// scheduler hears of it, so that it goes on over there however quick that thread is.
class Rescheduled {
 public:
  Rescheduled(Scheduler& scheduler, Duration delay) : scheduler_(scheduler), delay_(delay) {}
  bool await_ready() const noexcept { return false; }
  void await_suspend(std::coroutine_handle<> awaiter) const;
  void await_resume() const noexcept {}

 private:
  Scheduler& scheduler_;
  Duration delay_;  // zero: no timer
};

/// Resumes on a thread of `scheduler` after `delay`.
inline Rescheduled sleep_for(Scheduler& scheduler, Duration delay) { return {scheduler, delay}; }

/// Resumes on a thread of `scheduler`: the hop off a completion thread that must not be held up.
inline Rescheduled hop(Scheduler& scheduler) { return {scheduler, Duration::zero()}; }

}  // namespace ukai
