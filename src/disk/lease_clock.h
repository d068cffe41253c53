// SPDX-License-Identifier: BSD-2-Clause
#pragma once

#include <memory>
#include <mutex>

#include "base/async.h"
#include "ukai/coordination.h"
#include "ukai/scheduler.h"

namespace ukai {

/// Until when this host may believe that its ZooKeeper session, and with it each of its leases,
/// stands: by its own monotonic clock, counted from before the last answered request was sent.
///
/// ZooKeeper ends a session no sooner than its timeout after it last heard of the client, so what
/// was true when a request was sent stays true for that long. Threads: safe from any.
class LeaseClock {
 public:
  /// Starts asking ZooKeeper a small question several times a timeout.
  LeaseClock(Coordination& coordination, Scheduler& scheduler);

  /// True while session `session_id` surely stands.
  bool valid(std::int64_t session_id) const;
  /// True when session `session_id` is known to be gone.
  bool ended(std::int64_t session_id) const;
  /// Resumes when a session stands, with its id; 0 after stop().
  Task<std::int64_t> wait_session();
  /// Ends the questions; resumes when the last has been answered.
  Task<void> stop();

 private:
  Task<void> run();
  void note(std::int64_t session_id, TimePoint valid_until);

  Coordination& coordination_;
  Scheduler& scheduler_;
  Notifier changed_;
  TaskScope tasks_;
  mutable std::mutex mutex_;
  std::int64_t session_id_ = 0;  // by mutex_
  TimePoint valid_until_{};      // by mutex_
  bool stopped_ = false;         // by mutex_
};

}  // namespace ukai
