// SPDX-License-Identifier: BSD-2-Clause
#include "metadata/callbacks.h"

#include <utility>

namespace ukai {

void SerialQueue::post(Scheduler::Handler handler) {
  {
    std::lock_guard lock(mutex_);
    handlers_.push_back(std::move(handler));
    if (std::exchange(scheduled_, true)) return;
  }
  scheduler_.post([self = shared_from_this()] { self->run_one(); });
}

void SerialQueue::run_one() {
  Scheduler::Handler handler;
  {
    std::lock_guard lock(mutex_);
    handler = std::move(handlers_.front());
    handlers_.pop_front();
  }
  handler();
  {
    std::lock_guard lock(mutex_);
    if (handlers_.empty()) {
      scheduled_ = false;
      return;
    }
  }
  scheduler_.post([self = shared_from_this()] { self->run_one(); });
}

void Watcher::notify(const std::shared_ptr<Watcher>& self, SerialQueue& queue) {
  if (self->queued_.exchange(true)) return;
  queue.post([self] {
    // Cleared first: a change that comes while the callback reads must be reported again.
    self->queued_ = false;
    self->changed_();
  });
}

}  // namespace ukai
