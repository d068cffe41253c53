// SPDX-License-Identifier: BSD-2-Clause
#include "disk/lease_clock.h"

#include <gtest/gtest.h>

#include <optional>

#include "harness/manual_scheduler.h"

namespace ukai {
namespace {

using namespace std::chrono_literals;

/// A ZooKeeper that answers when, and as, the test says.
class HeldCoordination final : public Coordination {
 public:
  std::optional<OneShot<Result<Znode>>> asked;
  std::int64_t session = 1;
  int questions = 0;

  void answer(Result<Znode> answer) {
    ASSERT_TRUE(asked);
    const auto open = *std::exchange(asked, std::nullopt);
    open.resolve(std::move(answer));
  }
  void answer() { answer(Znode{}); }

  Task<Result<Znode>> get(std::string /*path*/) override {
    OneShot<Result<Znode>> open;
    asked = open;
    ++questions;
    co_return co_await open;
  }
  std::int64_t session_id() const override { return session; }
  std::int64_t session_timeout_ms() const override { return 10'000; }
  SessionState session_state() const override { return SessionState::connected; }

  Task<Result<std::vector<std::string>>> children(std::string) override { co_return unused(); }
  Task<Result<>> commit(std::vector<Op>) override { co_return unused(); }
  Task<Result<>> sync() override { co_return unused(); }
  std::unique_ptr<Watch> watch(std::string, bool, std::function<void()>) override {
    return nullptr;
  }
  std::unique_ptr<Watch> on_session(std::function<void(SessionState)>) override { return nullptr; }

 private:
  static Error unused() { return {Code::io, "the clock does not need this"}; }
};

class LeaseClockTest : public testing::Test {
 protected:
  ~LeaseClockTest() override {
    bool stopped = false;
    spawn(clock_.stop(), [&] { stopped = true; });
    if (zookeeper_.asked) zookeeper_.answer();
    scheduler_.run_for(2s);
    EXPECT_TRUE(stopped);
  }
  /// Waits for the next question.
  void until_asked() {
    for (int i = 0; i < 1000 && !zookeeper_.asked; ++i) scheduler_.run_for(10ms);
    ASSERT_TRUE(zookeeper_.asked);
  }

  test::ManualScheduler scheduler_;
  HeldCoordination zookeeper_;
  LeaseClock clock_{zookeeper_, scheduler_};
};

TEST_F(LeaseClockTest, believes_in_no_session_before_the_first_answer) {
  EXPECT_FALSE(clock_.valid(1));
  EXPECT_FALSE(clock_.valid(0));
}

TEST_F(LeaseClockTest, believes_for_less_than_the_timeout_after_an_answer) {
  until_asked();
  const TimePoint sent = scheduler_.now();
  zookeeper_.answer();
  EXPECT_TRUE(clock_.valid(1));
  scheduler_.run_for(9s);
  EXPECT_TRUE(clock_.valid(1));
  scheduler_.run_for(sent + 9500ms - scheduler_.now());
  EXPECT_FALSE(clock_.valid(1)) << "the server's clock may run 5 % faster";
}

TEST_F(LeaseClockTest, counts_from_before_the_question_was_sent) {
  zookeeper_.answer();
  until_asked();
  const TimePoint sent = scheduler_.now();
  scheduler_.run_for(6s);
  zookeeper_.answer();
  scheduler_.run_for(sent + 9400ms - scheduler_.now());
  EXPECT_TRUE(clock_.valid(1));
  scheduler_.run_for(200ms);
  EXPECT_FALSE(clock_.valid(1)) << "an answer that took 6 s says nothing about the last 6 s";
}

TEST_F(LeaseClockTest, is_not_revived_by_an_answer_that_is_older_than_the_timeout) {
  until_asked();
  scheduler_.run_for(11s);
  zookeeper_.answer();
  EXPECT_FALSE(clock_.valid(1));
}

TEST_F(LeaseClockTest, asks_several_times_a_timeout_so_that_one_lost_answer_does_no_harm) {
  for (int i = 0; i < 40; ++i) {
    if (zookeeper_.asked) zookeeper_.answer();
    scheduler_.run_for(500ms);
    EXPECT_TRUE(clock_.valid(1));
  }
  EXPECT_GE(zookeeper_.questions, 10);
}

TEST_F(LeaseClockTest, takes_a_missing_path_for_an_answer_and_an_unreachable_server_for_none) {
  until_asked();
  zookeeper_.answer(Error{Code::unreachable, "no answer"});
  EXPECT_FALSE(clock_.valid(1));
  until_asked();
  zookeeper_.answer(Error{Code::not_found, "no node"});
  EXPECT_TRUE(clock_.valid(1));
}

TEST_F(LeaseClockTest, does_not_credit_a_new_session_with_the_old_ones_answer) {
  until_asked();
  zookeeper_.session = 2;
  zookeeper_.answer();
  EXPECT_FALSE(clock_.valid(1));
  EXPECT_FALSE(clock_.valid(2));
  until_asked();
  zookeeper_.answer();
  EXPECT_FALSE(clock_.valid(1));
  EXPECT_TRUE(clock_.valid(2));
}

TEST_F(LeaseClockTest, does_not_name_a_session_that_another_has_followed) {
  until_asked();
  zookeeper_.answer();
  EXPECT_TRUE(clock_.valid(1));
  zookeeper_.session = 2;  // the clock has not asked since
  std::optional<std::int64_t> session;
  spawn_into<std::int64_t>(clock_.wait_session(), [&](std::int64_t id) { session = id; });
  scheduler_.run_for(1ms);
  EXPECT_FALSE(session);
  until_asked();
  zookeeper_.answer();
  scheduler_.run_for(1ms);
  EXPECT_EQ(session, 2);
}

TEST_F(LeaseClockTest, wakes_who_waits_for_a_session_once_it_surely_stands) {
  std::optional<std::int64_t> session;
  spawn_into<std::int64_t>(clock_.wait_session(), [&](std::int64_t id) { session = id; });
  scheduler_.run_for(3s);
  EXPECT_FALSE(session);
  zookeeper_.answer();
  scheduler_.run_ready();
  EXPECT_EQ(session, 1);
}

TEST_F(LeaseClockTest, knows_a_session_that_is_gone_from_one_that_may_stand) {
  EXPECT_FALSE(clock_.ended(1));
  EXPECT_FALSE(clock_.valid(1)) << "nobody has said so yet";
  zookeeper_.session = 2;
  EXPECT_TRUE(clock_.ended(1));
}

TEST_F(LeaseClockTest, believes_in_nothing_and_lets_nobody_wait_once_it_is_stopped) {
  zookeeper_.answer();
  spawn(clock_.stop());
  EXPECT_TRUE(clock_.ended(1));
  EXPECT_FALSE(clock_.valid(1));
  EXPECT_EQ(scheduler_.run(clock_.wait_session()), 0);
}

}  // namespace
}  // namespace ukai
