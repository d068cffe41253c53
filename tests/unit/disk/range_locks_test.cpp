// SPDX-License-Identifier: BSD-2-Clause
#include "disk/range_locks.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <map>

#include "harness/manual_scheduler.h"

namespace ukai {
namespace {

using namespace std::chrono_literals;
using testing::ElementsAre;
using testing::IsEmpty;
using Mode = RangeLocks::Mode;

/// Requests by name, what became of each, and in which order they were granted.
class RangeLocksTest : public testing::Test {
 protected:
  ~RangeLocksTest() override {
    while (!guards_.empty()) guards_.extract(guards_.begin());
  }
  void write(const std::string& name, ByteRange range, Duration patience = 60s) {
    ask(name, range, Mode::exclusive, patience);
  }
  void read(const std::string& name, ByteRange range, Duration patience = 60s) {
    ask(name, range, Mode::shared, patience);
  }
  void release(const std::string& name) {
    ASSERT_EQ(guards_.count(name), 1U) << name << " holds nothing";
    const auto released = guards_.extract(name);  // whoever it makes way for is added meanwhile
  }
  void drain(const std::string& name, ByteRange range) {
    spawn(locks_.drain(range), [this, name] { granted_.push_back(name); });
  }
  bool holds(const std::string& name) const { return guards_.count(name) != 0; }

  test::ManualScheduler scheduler_;
  RangeLocks locks_{scheduler_};
  std::vector<std::string> granted_;
  std::vector<std::string> given_up_;

 private:
  void ask(const std::string& name, ByteRange range, Mode mode, Duration patience) {
    spawn_into<RangeLocks::Guard>(locks_.acquire(range, mode, patience),
                                  [this, name](RangeLocks::Guard guard) {
                                    if (!guard.holds()) {
                                      given_up_.push_back(name);
                                      return;
                                    }
                                    granted_.push_back(name);
                                    guards_.emplace(name, std::move(guard));
                                  });
  }

  std::map<std::string, RangeLocks::Guard> guards_;
};

TEST_F(RangeLocksTest, let_writes_to_different_bytes_pass_each_other) {
  write("left", {0, 100});
  write("right", {100, 200});
  EXPECT_THAT(granted_, ElementsAre("left", "right"));
}

TEST_F(RangeLocksTest, keep_a_write_waiting_that_shares_one_byte_with_another) {
  write("first", {0, 101});
  write("second", {100, 200});
  EXPECT_FALSE(holds("second"));
  release("first");
  EXPECT_TRUE(holds("second"));
}

TEST_F(RangeLocksTest, let_reads_of_the_same_bytes_pass_each_other) {
  read("one", {0, 100});
  read("two", {0, 100});
  EXPECT_THAT(granted_, ElementsAre("one", "two"));
}

TEST_F(RangeLocksTest, keep_a_read_from_a_write_and_a_write_from_a_read) {
  write("w1", {0, 100});
  read("r1", {50, 60});
  EXPECT_FALSE(holds("r1"));
  release("w1");
  EXPECT_TRUE(holds("r1"));
  write("w2", {0, 100});
  EXPECT_FALSE(holds("w2"));
  release("r1");
  EXPECT_TRUE(holds("w2"));
}

TEST_F(RangeLocksTest, serve_overlapping_writes_in_the_order_of_arrival) {
  write("1", {0, 100});
  write("2", {0, 100});
  write("3", {50, 150});
  write("4", {0, 60});
  for (const char* name : {"1", "2", "3", "4"}) {
    EXPECT_EQ(granted_.back(), name);
    release(name);
  }
}

TEST_F(RangeLocksTest, do_not_starve_a_write_under_a_stream_of_reads) {
  read("old read", {0, 100});
  write("write", {0, 100});
  read("young read", {0, 100});
  EXPECT_THAT(granted_, ElementsAre("old read"));
  release("old read");
  EXPECT_THAT(granted_, ElementsAre("old read", "write"));
  release("write");
  EXPECT_TRUE(holds("young read"));
}

TEST_F(RangeLocksTest, let_nobody_overtake_a_waiter_that_he_overlaps) {
  write("holder", {0, 10});
  write("waiter", {0, 100});
  write("late", {50, 60});  // free now, but the waiter wants it and came first
  write("aside", {100, 110});
  EXPECT_THAT(granted_, ElementsAre("holder", "aside"));
  release("holder");
  EXPECT_THAT(granted_, ElementsAre("holder", "aside", "waiter"));
}

TEST_F(RangeLocksTest, may_be_released_in_any_order) {
  write("a", {0, 10});
  write("b", {10, 20});
  write("c", {20, 30});
  write("needs a and c", {5, 25});
  write("needs b", {15, 16});
  release("b");
  EXPECT_FALSE(holds("needs b")) << "a waiter before it overlaps it";
  release("c");
  EXPECT_FALSE(holds("needs a and c"));
  release("a");
  EXPECT_TRUE(holds("needs a and c"));
  EXPECT_FALSE(holds("needs b"));
  release("needs a and c");
  EXPECT_TRUE(holds("needs b"));
}

TEST_F(RangeLocksTest, wake_all_readers_that_one_write_held_up) {
  write("w", {0, 100});
  read("r1", {0, 10});
  read("r2", {5, 100});
  release("w");
  EXPECT_THAT(granted_, ElementsAre("w", "r1", "r2"));
}

TEST_F(RangeLocksTest, give_up_at_the_deadline_and_not_before) {
  write("holder", {0, 100});
  write("waiter", {0, 100}, 2s);
  scheduler_.run_for(1999ms);
  EXPECT_THAT(given_up_, IsEmpty());
  scheduler_.run_for(1ms);
  EXPECT_THAT(given_up_, ElementsAre("waiter"));
  release("holder");
  EXPECT_THAT(granted_, ElementsAre("holder"));
}

TEST_F(RangeLocksTest, free_those_behind_a_waiter_that_gave_up) {
  read("holder", {0, 100});
  write("waiter", {0, 100}, 1s);
  read("behind", {0, 100}, 60s);
  EXPECT_FALSE(holds("behind"));
  scheduler_.run_for(1s);
  EXPECT_THAT(given_up_, ElementsAre("waiter"));
  EXPECT_TRUE(holds("behind"));
}

TEST_F(RangeLocksTest, that_were_granted_in_time_are_not_taken_away_at_the_deadline) {
  write("holder", {0, 100});
  write("waiter", {0, 100}, 1s);
  release("holder");
  scheduler_.run_for(5s);
  EXPECT_THAT(given_up_, IsEmpty());
  write("late", {0, 100});
  EXPECT_FALSE(holds("late"));
  EXPECT_TRUE(holds("waiter"));
}

TEST_F(RangeLocksTest, give_at_once_what_nobody_holds_or_waits_for) {
  EXPECT_TRUE(locks_.acquire_now({0, 100}, Mode::exclusive).holds());
  auto held = locks_.acquire_now({0, 100}, Mode::shared);
  EXPECT_TRUE(held.holds());
  EXPECT_TRUE(locks_.acquire_now({0, 100}, Mode::shared).holds());
  EXPECT_FALSE(locks_.acquire_now({99, 200}, Mode::exclusive).holds());
  write("waits", {0, 100});
  EXPECT_FALSE(locks_.acquire_now({0, 100}, Mode::shared).holds()) << "it would overtake the write";
  held = RangeLocks::Guard();
  EXPECT_TRUE(holds("waits")) << "the guard that was assigned to let go";
}

TEST_F(RangeLocksTest, drain_at_once_where_nobody_writes) {
  read("reader", {0, 100});
  write("elsewhere", {100, 200});
  drain("drain", {0, 100});
  EXPECT_EQ(granted_.back(), "drain");
}

TEST_F(RangeLocksTest, drain_waits_for_held_and_waiting_writes_but_not_for_later_ones) {
  write("held", {0, 10});
  write("waiting", {5, 20});
  drain("drain", {0, 1000});
  write("later", {500, 600});
  EXPECT_TRUE(holds("later")) << "a drain holds up nobody";
  release("held");
  EXPECT_THAT(granted_, ElementsAre("held", "later", "waiting"));
  release("later");
  release("waiting");
  EXPECT_EQ(granted_.back(), "drain");
}

TEST_F(RangeLocksTest, drain_holds_nothing_when_it_is_over) {
  write("w", {0, 10});
  drain("drain", {0, 100});
  release("w");
  write("next", {0, 100});
  EXPECT_THAT(granted_, ElementsAre("w", "drain", "next"));
}

}  // namespace
}  // namespace ukai
