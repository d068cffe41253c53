// SPDX-License-Identifier: BSD-2-Clause
#pragma once

#include <memory>

#include "ukai/scheduler.h"

namespace ukai {

/// The real Scheduler: a Boost.Asio event loop run by a few threads of its own.
///
/// Handlers may run side by side. The destructor drops handlers that have not started and joins the
/// threads; it must not run on one of them.
///
/// `niceness` (nice(2), 0 to 19) is that of its threads: where a daemon has too few processors,
/// its other threads go first.
class AsioScheduler final : public Scheduler {
 public:
  explicit AsioScheduler(unsigned threads, int niceness = 0);
  ~AsioScheduler() override;

  TimePoint now() const override;
  void post(Handler handler) override;
  TimerId after(Duration delay, Handler handler) override;
  bool cancel(TimerId id) override;

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace ukai
