// SPDX-License-Identifier: BSD-2-Clause
//
// What a holder learns from a node before it knows who of the members is missing, and what anybody
// learns who has no session.
#include <gtest/gtest.h>

#include "node_fixture.h"

namespace ukai::test {
namespace {

class Survey : public NodeTest {
 protected:
  pb::FenceReply survey(std::uint64_t epoch, std::uint64_t session) {
    auto request = fence_request(epoch, session);
    request.set_survey(true);
    auto reply = node->fence(request);
    EXPECT_TRUE(reply.ok()) << reply.error().what;
    return reply.ok() ? *reply : pb::FenceReply{};
  }
  std::vector<std::string> accused(const pb::FenceReply& reply) {
    return {reply.accused().begin(), reply.accused().end()};
  }
  pb::HeldReply held(pb::HeldRequest::List list, const std::string& member = "") {
    pb::HeldRequest request;
    request.set_list(list);
    request.set_disk_id(disk_of(1).to_string());
    request.set_member(member);
    auto reply = node->held(request);
    EXPECT_TRUE(reply.ok()) << reply.error().what;
    return reply.ok() ? *reply : pb::HeldReply{};
  }
};

using Names = std::vector<std::string>;

TEST_F(Survey, tells_who_lacks_something_and_forgets_nothing) {
  fence(1, 1, n2_bit);
  write(3, "alone");
  for (std::uint64_t session = 1; session <= 2; ++session) {
    node.restart();
    EXPECT_EQ(accused(survey(2, session)), (Names{"n2"})) << "however often it is asked";
  }
  // The fence that follows tells who is missing; what it contradicts goes.
  fence(2, 3, n2_bit);
  EXPECT_EQ(listed("n2"), (Blocks{3}));
  fence(2, 4, 0);
  EXPECT_EQ(accused(survey(2, 5)), (Names{}));
}

TEST_F(Survey, does_not_count_what_is_only_active) {
  fence(1, 1);
  write(3, "in flight");
  const auto reply = survey(2, 1);
  EXPECT_EQ(accused(reply), (Names{}));
  EXPECT_EQ(reply.active_count(), 1U);
}

TEST_F(Survey, ends_older_sessions_and_serves_nobody) {
  fence(1, 1);
  const IoRequest late = write_of(0, "late");
  survey(2, 1);
  EXPECT_TRUE(failed(send(late), Code::stale));
  epoch_ = 2;
  EXPECT_TRUE(failed(send(write_of(0, "x")), Code::not_admitted));
  EXPECT_TRUE(failed(send(read_of(0, 1)), Code::not_admitted));
  auto again = fence_request(2, 1);
  EXPECT_TRUE(node->fence(again).failed_with(Code::stale));
}

TEST_F(Survey, remembers_a_crash_until_the_disk_is_clean) {
  fence(1, 1);
  write(3, "unflushed");
  node.power_cut();
  EXPECT_TRUE(survey(2, 1).crashed());
  EXPECT_TRUE(survey(2, 2).crashed());
  EXPECT_TRUE(fence(2, 3).crashed());
}

TEST_F(Survey, leaves_what_the_newest_session_knew_of_the_disk) {
  fence(1, 1, n3_bit);
  write(2, "x");
  auto request = fence_request(2, 1);
  request.set_survey(true);
  request.clear_members();
  request.set_disk_name("other");
  ASSERT_TRUE(node->fence(request).ok());
  node.restart();
  const auto disks = held(pb::HeldRequest::DISKS);
  ASSERT_EQ(disks.disks_size(), 1);
  const pb::HeldDisk& disk = disks.disks(0);
  EXPECT_EQ(disk.name(), "vm1");
  EXPECT_EQ(disk.size(), blocks * block_size);
  EXPECT_EQ(disk.block_size(), block_size);
  EXPECT_EQ(disk.epoch(), 2U);
  EXPECT_EQ(disk.members_size(), 3);
  ASSERT_EQ(disk.accused_size(), 1);
  EXPECT_EQ(disk.accused(0), "n3");
}

TEST_F(Survey, lists_what_lies_here_without_a_session) {
  fence(1, 1, n3_bit);
  write(2, "x");
  write(3, "x");
  write(9, "x");
  node.restart();
  for (const auto& [list, member] :
       {std::pair(pb::HeldRequest::BLOCKS, ""), std::pair(pb::HeldRequest::ACTIVE, ""),
        std::pair(pb::HeldRequest::MISSED, "n3")}) {
    const auto page = held(list, member);
    ASSERT_EQ(page.blocks_size(), 2) << list;
    EXPECT_EQ(page.blocks(0).begin(), 2U);
    EXPECT_EQ(page.blocks(0).end(), 4U);
    EXPECT_EQ(page.blocks(1).begin(), 9U);
    EXPECT_FALSE(page.more());
  }
  EXPECT_EQ(held(pb::HeldRequest::MISSED, "n2").blocks_size(), 0);
}

}  // namespace
}  // namespace ukai::test
