// SPDX-License-Identifier: BSD-2-Clause
#include "base/asio_scheduler.h"

#include <gtest/gtest.h>
#include <sys/resource.h>
#include <unistd.h>

#include <future>

namespace ukai {
namespace {

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
