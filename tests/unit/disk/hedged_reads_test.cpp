// SPDX-License-Identifier: BSD-2-Clause
#include "disk/hedged_reads.h"

#include <gtest/gtest.h>

#include "attached_fixture.h"

namespace ukai {
namespace {

using namespace std::chrono_literals;

class HedgedReadsTest : public test::AttachedFixture {
 protected:
  void TearDown() override {
    for (const auto& link : links_) {
      for (std::size_t i = 0; i < link->asked.size(); ++i) {
        if (link->asked[i].done) link->answer(i, {});
      }
    }
    bool closed = false;
    spawn(core_.tasks.close(), [&] { closed = true; });
    scheduler.run_for(1s);
    EXPECT_TRUE(closed);
  }
  void read() {
    IoRequest request;
    request.op = IoOp::read;
    request.length_bytes = BlockStore::unit_bytes;
    auto both = targets(2);
    answer_.reset();
    spawn(read_from(request, both));
  }
  Task<void> read_from(IoRequest request, std::vector<Target> both) {
    HedgedReads::Outcome outcome = co_await hedged_.read(request, both[0], both[1]);
    answer_ = std::move(outcome.reply);
    damaged_ = std::move(outcome.damaged);
  }
  std::size_t asked(std::size_t index) const { return links_[index]->asked.size(); }
  static IoReply bytes(const std::string& text) {
    IoReply reply;
    reply.data = Payload(Bytes::copy_of(text));
    return reply;
  }

  Repairer repairer_{core_};
  HedgedReads hedged_{core_, repairer_};
  std::optional<IoReply> answer_;
  std::vector<std::size_t> damaged_;
};

TEST_F(HedgedReadsTest, ask_one_replica_when_it_is_quick) {
  for (int i = 0; i < 100; ++i) {
    read();
    links_[0]->answer(asked(0) - 1, bytes("first"));
    ASSERT_TRUE(answer_ && answer_->ok);
    scheduler.run_for(1s);
  }
  EXPECT_EQ(asked(1), 0U);
}

TEST_F(HedgedReadsTest, ask_a_second_one_when_the_first_takes_longer_than_it_does_mostly) {
  for (int i = 0; i < 200; ++i) {
    read();
    scheduler.run_for(3ms);
    links_[0]->answer(asked(0) - 1, bytes("first"));
  }
  const std::size_t before = asked(1);
  read();
  scheduler.run_for(20ms);  // far below what is assumed of an unknown member
  ASSERT_EQ(asked(1), before + 1);
  links_[1]->answer(before, bytes("second"));
  ASSERT_TRUE(answer_);
  EXPECT_EQ(answer_->data.to_string(), "second");
  links_[0]->answer(asked(0) - 1, bytes("late"));
  EXPECT_EQ(core_.counters.hedged_reads, before + 1);
}

TEST_F(HedgedReadsTest, take_the_first_answer_when_the_second_replica_is_slower_still) {
  read();
  scheduler.run_for(60ms);
  ASSERT_EQ(asked(1), 1U);
  links_[0]->answer(0, bytes("first"));
  EXPECT_EQ(answer_->data.to_string(), "first");
  links_[1]->answer(0, bytes("late"));
}

TEST_F(HedgedReadsTest, a_failure_waits_for_the_other_answer) {
  read();
  scheduler.run_for(60ms);
  links_[0]->answer(0, IoReply::failed(Code::unreachable, "gone"));
  EXPECT_FALSE(answer_);
  EXPECT_FALSE(open(0)) << "a session whose request failed is over";
  links_[1]->answer(0, bytes("second"));
  ASSERT_TRUE(answer_);
  EXPECT_EQ(answer_->data.to_string(), "second");
}

TEST_F(HedgedReadsTest, a_failure_before_the_second_was_asked_is_told_at_once) {
  read();
  links_[0]->answer(0, IoReply::failed(Code::corrupt, "bad checksum"));
  ASSERT_TRUE(answer_);
  EXPECT_EQ(answer_->code, Code::corrupt);
  EXPECT_EQ(damaged_, std::vector<std::size_t>{0});
  scheduler.run_for(1s);
  EXPECT_EQ(asked(1), 0U);
}

TEST_F(HedgedReadsTest, damage_of_the_loser_is_told_with_the_good_answer) {
  read();
  scheduler.run_for(60ms);
  links_[0]->answer(0, IoReply::failed(Code::corrupt, "bad checksum"));
  EXPECT_FALSE(answer_);
  links_[1]->answer(0, bytes("second"));
  ASSERT_TRUE(answer_ && answer_->ok);
  EXPECT_EQ(damaged_, std::vector<std::size_t>{0});
}

TEST_F(HedgedReadsTest, damage_that_is_told_late_is_looked_for_once) {
  read();
  scheduler.run_for(60ms);
  links_[1]->answer(0, bytes("second"));
  ASSERT_TRUE(answer_ && answer_->ok);
  EXPECT_TRUE(damaged_.empty());
  links_[0]->answer(0, IoReply::failed(Code::corrupt, "bad checksum"));
  ASSERT_EQ(asked(0), 2U) << "the late one must be repaired as well";
  EXPECT_EQ(links_[0]->asked[1].request.op, IoOp::check);
  EXPECT_EQ(asked(1), 1U);
}

TEST_F(HedgedReadsTest, the_disk_stays_until_the_loser_has_answered) {
  read();
  scheduler.run_for(60ms);
  links_[1]->answer(0, bytes("second"));
  ASSERT_TRUE(answer_ && answer_->ok);
  bool closed = false;
  spawn(core_.tasks.close(), [&] { closed = true; });
  scheduler.run_for(1s);
  EXPECT_FALSE(closed);
  links_[0]->answer(0, bytes("late"));
  EXPECT_TRUE(closed);
}

TEST_F(HedgedReadsTest, the_first_is_waited_for_when_the_disk_is_being_detached) {
  read();
  bool closed = false;
  spawn(core_.tasks.close(), [&] { closed = true; });
  scheduler.run_for(60ms);
  EXPECT_EQ(asked(1), 0U) << "nothing is begun any more";
  EXPECT_FALSE(answer_);
  links_[0]->answer(0, bytes("first"));
  ASSERT_TRUE(answer_);
  EXPECT_EQ(answer_->data.to_string(), "first");
  scheduler.run_for(60ms);
  EXPECT_TRUE(closed);
}

TEST_F(HedgedReadsTest, keep_within_their_budget) {
  constexpr std::size_t reads = 1000;
  for (std::size_t i = 0; i < reads; ++i) {
    read();
    scheduler.run_for(600ms);  // each is late
    links_[0]->answer(i, bytes("first"));
    for (std::size_t j = 0; j < asked(1); ++j) {
      if (links_[1]->asked[j].done) links_[1]->answer(j, bytes("second"));
    }
  }
  EXPECT_GT(asked(1), 10U);
  EXPECT_LE(asked(1), 10 + reads / 20);
}

}  // namespace
}  // namespace ukai
