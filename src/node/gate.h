// SPDX-License-Identifier: BSD-2-Clause
#pragma once

#include <condition_variable>
#include <mutex>

namespace ukai {

/// A shared mutex whose exclusive side cannot be starved: once somebody waits for it, new sharers
/// wait as well. Requests hold it shared while they are applied; a fence holds it exclusively, so
/// that nothing older is being applied when it answers.
///
/// Used through std::shared_lock and std::unique_lock. Not recursive. Threads: safe from any.
class Gate {
 public:
  void lock();
  void unlock();
  void lock_shared();
  /// False when somebody holds or waits for the exclusive side.
  bool try_lock_shared();
  void unlock_shared();

 private:
  std::mutex mutex_;
  std::condition_variable changed_;
  int sharers_ = 0;         // by mutex_
  bool exclusive_ = false;  // by mutex_: held, or waited for
};

}  // namespace ukai
