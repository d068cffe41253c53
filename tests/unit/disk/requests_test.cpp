// SPDX-License-Identifier: BSD-2-Clause
#include "disk/requests.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "attached_fixture.h"
#include "disk/copy.h"

namespace ukai {
namespace {

using namespace std::chrono_literals;
using testing::IsEmpty;
using testing::SizeIs;

class RequestsTest : public test::AttachedFixture {
 protected:
  void send(std::size_t count) {
    IoRequest request;
    request.op = IoOp::write;
    spawn_into<std::vector<Answer>>(
        send_to_all(core_, std::move(request), targets(count)),
        [this](std::vector<Answer> answers) { answers_ = std::move(answers); });
  }

  std::optional<std::vector<Answer>> answers_;
};

TEST_F(RequestsTest, go_out_under_the_disks_epoch_and_each_targets_session) {
  send(2);
  for (std::size_t i = 0; i < 2; ++i) {
    ASSERT_THAT(links_[i]->asked, SizeIs(1));
    const auto& asked = links_[i]->asked[0];
    EXPECT_EQ(asked.request.disk, core_.id);
    EXPECT_EQ(asked.request.epoch, core_.lease.epoch);
    EXPECT_EQ(asked.request.session, (Session{11 + i}));
    EXPECT_EQ(asked.deadline, 700ms);
  }
  links_[0]->answer(0, {});
  links_[1]->answer(0, {});
}

TEST_F(RequestsTest, end_when_all_have_answered_in_whatever_order) {
  send(2);
  links_[1]->answer(0, {});
  EXPECT_FALSE(answers_) << "one replica is not all replicas";
  links_[0]->answer(0, IoReply::failed(Code::corrupt, "bad checksum"));
  ASSERT_TRUE(answers_);
  EXPECT_FALSE((*answers_)[0].reply.ok);
  EXPECT_EQ((*answers_)[0].target.index, 0U);
  EXPECT_TRUE((*answers_)[1].reply.ok);
}

TEST_F(RequestsTest, to_nobody_end_at_once) {
  send(0);
  ASSERT_TRUE(answers_);
  EXPECT_THAT(*answers_, IsEmpty());
}

TEST_F(RequestsTest, that_time_out_end_the_session_of_the_silent_node_only) {
  send(2);
  links_[0]->answer(0, {});
  links_[1]->answer(0, IoReply::failed(Code::unreachable, "no answer within 700 ms"));
  EXPECT_TRUE(open(0));
  EXPECT_FALSE(open(1));
  ASSERT_THAT(errors_.entries(), SizeIs(1));
  EXPECT_EQ(errors_.entries()[0].node(), "n2");
  EXPECT_EQ(errors_.entries()[0].disk(), "vm");
}

TEST_F(RequestsTest, that_fail_late_do_not_end_the_session_that_came_after) {
  send(1);
  core_.replicas[0]->session = Session{99};
  links_[0]->answer(0, IoReply::failed(Code::unreachable, "no answer"));
  ASSERT_TRUE(answers_);
  EXPECT_TRUE(open(0));
}

TEST_F(RequestsTest, that_end_a_session_end_its_healing) {
  core_.replicas[0]->healing = true;
  core_.replicas[0]->heal_left = 1;
  send(1);
  links_[0]->answer(0, IoReply::failed(Code::stale, "epoch 1 is over"));
  EXPECT_FALSE(core_.replicas[0]->healing);
  EXPECT_EQ(core_.replicas[0]->heal_left, 0U);
}

TEST_F(RequestsTest, ping_tells_whether_the_session_stands) {
  std::optional<bool> stands;
  spawn_into<bool>(ping(core_, 0, Session{11}), [&](bool yes) { stands = yes; });
  ASSERT_THAT(links_[0]->asked, SizeIs(1));
  EXPECT_EQ(links_[0]->asked[0].request.op, IoOp::ping);
  links_[0]->answer(0, {});
  EXPECT_EQ(stands, true);
  core_.replicas[1]->link = nullptr;
  EXPECT_FALSE(run(ping(core_, 1, Session{12})));
}

TEST(EndsSession, when_the_node_may_have_missed_it_but_not_when_it_answered_about_the_bytes) {
  for (const Code code : {Code::corrupt, Code::no_space, Code::invalid, Code::not_found}) {
    EXPECT_FALSE(ends_session(code)) << to_string(code);
  }
  for (const Code code : {Code::unreachable, Code::unknown, Code::stale, Code::not_admitted,
                          Code::io, Code::refused, Code::shut_down}) {
    EXPECT_TRUE(ends_session(code)) << to_string(code);
  }
}

TEST_F(RequestsTest, versions_are_cut_at_the_end_of_the_disk) {
  pb::DirtyListReply reply;
  auto add = [&](std::uint64_t begin, std::uint64_t end) {
    pb::BlockSpan* span = reply.add_blocks();
    span->set_begin(begin);
    span->set_end(end);
    span->set_generation(1);
  };
  const std::uint64_t last =
      Geometry{core_.entry.record.size(), core_.entry.record.block_size()}.block_count() - 1;
  add(0, 2);
  add(last, ~std::uint64_t{0});
  add(last + 40, last + 50);
  EXPECT_THAT(versions_in(core_, reply),
              testing::ElementsAre(BlockVersion{BlockIndex{0}, core_.head},
                                   BlockVersion{BlockIndex{1}, core_.head},
                                   BlockVersion{BlockIndex{last}, core_.head}));
}

TEST(ErrorLog, keeps_the_newest_256_first) {
  ErrorLog log;
  for (int i = 0; i < 300; ++i) log.add("n1", "vm", std::to_string(i));
  const auto entries = log.entries();
  ASSERT_THAT(entries, SizeIs(256));
  EXPECT_EQ(entries.front().what(), "299");
  EXPECT_EQ(entries.back().what(), "44");
}

}  // namespace
}  // namespace ukai
