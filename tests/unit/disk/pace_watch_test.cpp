// SPDX-License-Identifier: BSD-2-Clause
#include "disk/pace_watch.h"

#include <gtest/gtest.h>

#include "attached_fixture.h"
#include "disk/connector.h"

namespace ukai {
namespace {

using namespace std::chrono_literals;

class PaceWatchTest : public test::AttachedFixture {
 protected:
  PaceWatchTest() {
    auto loading = core_.map.load(BlockIndex{0}, core_.geometry());
    EXPECT_TRUE(scheduler.run(std::move(loading)).ok());
    core_.tasks.spawn(pace_.watch());
  }
  void TearDown() override {
    core_.stop(Error{Code::shut_down, "the test is over"});
    bool closed = false;
    spawn(core_.tasks.close(), [&] { closed = true; });
    scheduler.run_for(2s);
    EXPECT_TRUE(closed);
  }

  /// Changes that take so long on n1 and n2, for some seconds.
  void work(int seconds, Duration first, Duration second) {
    for (int i = 0; i < seconds; ++i) {
      core_.replicas[0]->pace.add(first);
      core_.replicas[1]->pace.add(second);
      scheduler.run_for(1s);
    }
  }
  bool missing(std::size_t index) { return core_.members.missing(index); }

  Membership membership_{core_};
  Connector connector_{core_, membership_};
  Flusher flusher_{core_, membership_, connector_};
  PaceWatch pace_{core_, membership_, flusher_};
};

TEST_F(PaceWatchTest, sets_a_member_aside_that_stays_far_slower_than_its_peer) {
  work(2, 1ms, 400ms);
  EXPECT_FALSE(missing(1)) << "two slow seconds are not enough";
  work(2, 1ms, 400ms);
  EXPECT_TRUE(missing(1));
  EXPECT_FALSE(missing(0));
  EXPECT_FALSE(open(1));
  EXPECT_GT(core_.replicas[1]->pace.heal_after, core_.now());
}

TEST_F(PaceWatchTest, leaves_members_alone_that_are_slow_together) {
  work(10, 300ms, 400ms);
  EXPECT_FALSE(missing(0) || missing(1));
}

TEST_F(PaceWatchTest, leaves_a_member_alone_that_no_guest_notices) {
  work(10, 1ms, 50ms);
  EXPECT_FALSE(missing(1));
}

TEST_F(PaceWatchTest, forgives_a_slow_second_now_and_then) {
  for (int i = 0; i < 5; ++i) {
    work(2, 1ms, 400ms);
    work(1, 1ms, 1ms);
  }
  EXPECT_FALSE(missing(1));
}

TEST_F(PaceWatchTest, keeps_a_slow_member_when_nobody_else_is_open) {
  core_.replicas[0]->state = Replica::State::closed;
  work(10, 1ms, 400ms);
  EXPECT_FALSE(missing(1)) << "it is the last";
}

}  // namespace
}  // namespace ukai
