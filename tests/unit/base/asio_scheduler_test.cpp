// SPDX-License-Identifier: BSD-2-Clause
#include "base/asio_scheduler.h"

#include <gtest/gtest.h>
#include <sys/resource.h>
#include <unistd.h>

#include <future>
#include <thread>

#include "ukai/task.h"

namespace ukai {
namespace {

/// As quick as can be: what is posted has run, elsewhere, before post returns.
class QuickScheduler : public Scheduler {
 public:
  TimePoint now() const override { return {}; }
  void post(Handler handler) override {
    std::thread{[&] {
      there = std::this_thread::get_id();
      handler();
    }}.join();
  }
  TimerId after(Duration, Handler handler) override {
    post(std::move(handler));
    return {};
  }
  bool cancel(TimerId) override { return false; }

  std::thread::id there;
};

Task<void> look_around(Scheduler* scheduler, std::thread::id* hopped, std::thread::id* slept) {
  co_await hop(*scheduler);
  *hopped = std::this_thread::get_id();
  co_await sleep_for(*scheduler, std::chrono::milliseconds(1));
  *slept = std::this_thread::get_id();
}

TEST(Scheduler, a_hop_ends_on_the_other_thread_however_quick_that_one_is) {
  QuickScheduler quick;
  std::thread::id hopped;
  std::thread::id slept;
  spawn(look_around(&quick, &hopped, &slept));
  EXPECT_NE(hopped, std::thread::id{});
  EXPECT_NE(hopped, std::this_thread::get_id());
  EXPECT_EQ(slept, quick.there);
}

int niceness_of_a_handler(Scheduler& scheduler) {
  std::promise<int> niceness;
  scheduler.post(
      [&] { niceness.set_value(getpriority(PRIO_PROCESS, static_cast<id_t>(gettid()))); });
  return niceness.get_future().get();
}

TEST(AsioScheduler, background_threads_and_no_others_let_the_rest_go_first) {
  const int usual = getpriority(PRIO_PROCESS, 0);
  AsioScheduler background{1, usual + 3};
  AsioScheduler ordinary{1};
  EXPECT_EQ(niceness_of_a_handler(background), usual + 3);
  EXPECT_EQ(niceness_of_a_handler(ordinary), usual);
  EXPECT_EQ(getpriority(PRIO_PROCESS, 0), usual);
}

}  // namespace
}  // namespace ukai
