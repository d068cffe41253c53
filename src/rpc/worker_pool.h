// SPDX-License-Identifier: BSD-2-Clause
#pragma once

#include <condition_variable>
#include <cstddef>
#include <deque>
#include <functional>
#include <mutex>
#include <thread>
#include <vector>

namespace ukai {

/// A few threads for work that may wait for a device. Its queue needs no bound of its own: the data
/// servers bound what each stream has in work, and a link what it has in flight.
///
/// Threads: post() from any. The destructor runs what is still queued, then joins.
class WorkerPool {
 public:
  explicit WorkerPool(std::size_t threads);
  ~WorkerPool();

  void post(std::function<void()> work);

 private:
  void run();

  std::mutex mutex_;
  std::condition_variable wake_;
  std::deque<std::function<void()>> queue_;  // by mutex_
  bool stopping_ = false;                    // by mutex_
  std::vector<std::thread> threads_;
};

}  // namespace ukai
