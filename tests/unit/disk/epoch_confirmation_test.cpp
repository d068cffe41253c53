// SPDX-License-Identifier: BSD-2-Clause
#include "disk/epoch_confirmation.h"

#include <gtest/gtest.h>

#include "attached_fixture.h"

namespace ukai {
namespace {

using namespace std::chrono_literals;

class EpochConfirmationTest : public test::AttachedFixture {
 protected:
  void ask() {
    fresh_.reset();
    spawn_into<bool>(confirmation_.fresh(locations_), [this](bool fresh) { fresh_ = fresh; });
  }
  /// Answers every ping that waits.
  void answer(std::size_t index, const IoReply& reply) {
    auto& asked = links_[index]->asked;
    for (std::size_t i = 0; i < asked.size(); ++i) {
      if (asked[i].done) links_[index]->answer(i, reply);
    }
  }
  std::size_t pings() const { return links_[0]->asked.size(); }
  void set_missing(std::size_t index) {
    core_.entry.record = with_missing(core_.entry.record, core_.replicas[index]->node,
                                      core_.lease.epoch, Sequence{1}, "test");
    core_.members = MemberTable(core_.entry.record);
  }

  EpochConfirmation confirmation_{core_};
  std::vector<Location> locations_{{core_.replicas[0]->node, SyncStatus::in_sync},
                                   {core_.replicas[1]->node, SyncStatus::in_sync}};
  std::optional<bool> fresh_;
};

TEST_F(EpochConfirmationTest, wants_the_word_of_every_replica) {
  ask();
  answer(0, {});
  EXPECT_FALSE(fresh_);
  answer(1, {});
  EXPECT_EQ(fresh_, true);
}

TEST_F(EpochConfirmationTest, is_refused_by_one_that_knows_a_newer_holder) {
  ask();
  answer(0, {});
  answer(1, IoReply::failed(Code::stale, "epoch 9 was here"));
  EXPECT_EQ(fresh_, false);
  ask();
  EXPECT_EQ(fresh_, false) << "without a session there is nobody to ask";
}

TEST_F(EpochConfirmationTest, is_good_for_two_seconds_from_sending) {
  ask();
  scheduler.run_for(500ms);
  answer(0, {});
  answer(1, {});
  scheduler.run_for(400ms);
  ask();
  EXPECT_EQ(fresh_, true);
  EXPECT_EQ(pings(), 1U) << "not asked again so soon";
  scheduler.run_for(300ms);
  ask();
  EXPECT_EQ(fresh_, true);
  EXPECT_EQ(pings(), 2U) << "asked ahead, without waiting";
  scheduler.run_for(900ms);
  ask();
  EXPECT_FALSE(fresh_) << "the answer to the first no longer counts";
  answer(0, {});
  answer(1, {});
  EXPECT_EQ(fresh_, true);
}

TEST_F(EpochConfirmationTest, an_answer_that_took_too_long_is_worth_nothing) {
  ask();
  answer(0, {});
  scheduler.run_for(2s);
  answer(1, {});
  EXPECT_EQ(fresh_, false);
}

TEST_F(EpochConfirmationTest, a_new_holder_waits_where_it_could_not_fence_a_replica) {
  core_.replicas[0]->fenced = true;
  core_.replicas[0]->fenced_first = core_.now();
  EXPECT_FALSE(confirmation_.serve_from(locations_)) << "nobody is missing";
  set_missing(1);
  const auto from = confirmation_.serve_from(locations_);
  ASSERT_TRUE(from);
  EXPECT_EQ(*from - core_.now(), limits::epoch_confirmation * 11 / 10);
  scheduler.run_for(3s);
  EXPECT_FALSE(confirmation_.serve_from(locations_));
}

TEST_F(EpochConfirmationTest, a_new_holder_does_not_wait_where_it_fenced_all) {
  for (const auto& replica : core_.replicas) {
    replica->fenced = true;
    replica->fenced_first = core_.now();
  }
  set_missing(1);
  EXPECT_FALSE(confirmation_.serve_from(locations_));
}

}  // namespace
}  // namespace ukai
