// SPDX-License-Identifier: BSD-2-Clause
#include "base/asio_scheduler.h"

#include <sys/resource.h>
#include <unistd.h>

#include <boost/asio/executor_work_guard.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/post.hpp>
#include <boost/asio/steady_timer.hpp>
#include <cassert>
#include <mutex>
#include <thread>
#include <unordered_map>
#include <vector>

namespace ukai {
namespace {

/// Of the calling thread alone, as Linux has it; one that is nicer already stays so.
void be_nice(int niceness) {
  const auto self = static_cast<id_t>(gettid());
  if (getpriority(PRIO_PROCESS, self) < niceness) setpriority(PRIO_PROCESS, self, niceness);
}

}  // namespace

struct AsioScheduler::Impl {
  Impl(unsigned thread_count, int niceness)
      : context(static_cast<int>(thread_count)), guard(context.get_executor()) {
    for (unsigned i = 0; i < thread_count; ++i) {
      threads.emplace_back([this, niceness] {
        if (niceness > 0) be_nice(niceness);
        context.run();
      });
    }
  }

  /// Takes the timer out of the table: whoever gets it decides what becomes of the handler.
  std::unique_ptr<boost::asio::steady_timer> take(std::uint64_t id) {
    std::lock_guard lock(mutex);
    auto found = timers.find(id);
    if (found == timers.end()) return nullptr;
    auto timer = std::move(found->second);
    timers.erase(found);
    return timer;
  }

  boost::asio::io_context context;
  boost::asio::executor_work_guard<boost::asio::io_context::executor_type> guard;
  std::vector<std::thread> threads;

  std::mutex mutex;
  std::uint64_t next_id = 1;                                                             // by mutex
  std::unordered_map<std::uint64_t, std::unique_ptr<boost::asio::steady_timer>> timers;  // by mutex
};

AsioScheduler::AsioScheduler(unsigned threads, int niceness)
    : impl_(std::make_unique<Impl>(threads, niceness)) {}

AsioScheduler::~AsioScheduler() {
  impl_->context.stop();
  for (std::thread& thread : impl_->threads) {
    assert(thread.get_id() != std::this_thread::get_id());
    thread.join();
  }
  std::lock_guard lock(impl_->mutex);
  impl_->timers.clear();
}

TimePoint AsioScheduler::now() const { return std::chrono::steady_clock::now(); }

void AsioScheduler::post(Handler handler) { boost::asio::post(impl_->context, std::move(handler)); }

Scheduler::TimerId AsioScheduler::after(Duration delay, Handler handler) {
  auto timer = std::make_unique<boost::asio::steady_timer>(impl_->context);
  timer->expires_after(delay);
  std::lock_guard lock(impl_->mutex);
  const std::uint64_t id = impl_->next_id++;
  Impl* impl = impl_.get();
  timer->async_wait([impl, id, run = std::move(handler)](const boost::system::error_code&) {
    if (impl->take(id)) run();
  });
  impl_->timers.emplace(id, std::move(timer));
  return TimerId{id};
}

bool AsioScheduler::cancel(TimerId id) {
  return impl_->take(static_cast<std::uint64_t>(id)) != nullptr;
}

}  // namespace ukai
