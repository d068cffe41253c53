// SPDX-License-Identifier: BSD-2-Clause
#include "node/gate.h"

namespace ukai {

void Gate::lock() {
  std::unique_lock lock(mutex_);
  changed_.wait(lock, [this] { return !exclusive_; });
  exclusive_ = true;
  changed_.wait(lock, [this] { return sharers_ == 0; });
}

void Gate::unlock() {
  const std::lock_guard lock(mutex_);
  exclusive_ = false;
  changed_.notify_all();
}

void Gate::lock_shared() {
  std::unique_lock lock(mutex_);
  changed_.wait(lock, [this] { return !exclusive_; });
  ++sharers_;
}

bool Gate::try_lock_shared() {
  const std::lock_guard lock(mutex_);
  if (exclusive_) return false;
  ++sharers_;
  return true;
}

void Gate::unlock_shared() {
  const std::lock_guard lock(mutex_);
  if (--sharers_ == 0 && exclusive_) changed_.notify_all();
}

}  // namespace ukai
