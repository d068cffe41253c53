// SPDX-License-Identifier: BSD-2-Clause
#include "disk/healer.h"

#include <gtest/gtest.h>

#include "attached_fixture.h"

namespace ukai {
namespace {

constexpr BlockRange lone{BlockIndex{8}, BlockIndex{16}};

/// All blocks on n1 and n3, and those but `lone` on n2 as well.
LocationsChanged three_nodes(LocationsChanged disk) {
  const BlockRange all{BlockIndex{0}, BlockIndex{16}};
  disk = *add_locations(disk.record, disk.segments, {{NodeId("n3")}, all, NodeId()});
  std::vector<BlockReplica> new_ones;
  for (BlockIndex at = all.begin; at < all.end; at = next(at))
    new_ones.push_back({at, NodeId("n3")});
  disk = set_status(disk.record, disk.segments, new_ones, SyncStatus::in_sync);
  return *remove_locations(disk.record, disk.segments, {{NodeId("n2")}, lone, NodeId()});
}

class HealerTest : public test::AttachedFixture {
 protected:
  HealerTest() : AttachedFixture(three_nodes) {
    core_.entry.record = with_missing(core_.entry.record, core_.replicas[2]->node,
                                      core_.lease.epoch, Sequence{1}, "test");
    core_.members = MemberTable(core_.entry.record);
    pb::DirtyListReply missed;
    pb::BlockSpan* span = missed.add_blocks();
    span->set_begin(0);
    span->set_end(16);
    span->set_generation(1);
    for (const auto& link : links_) {
      link->set_missing_reply = pb::SetMissingReply();
      link->dirty_list_reply = missed;
      link->pull_reply = pb::PullReply();
    }
  }

  Membership membership_{core_};
  Connector connector_{core_, membership_};
  Healer healer_{core_, membership_, connector_};
};

TEST_F(HealerTest, heals_first_what_one_more_failure_would_cost) {
  std::optional<bool> healed;
  spawn_into<bool>(healer_.heal(2), [&](bool done) { healed = done; });
  scheduler.run_for(std::chrono::milliseconds(100));
  std::vector<std::uint64_t> order;
  for (const pb::PullRequest& pulled : links_[2]->pulled) order.push_back(pulled.block());
  EXPECT_EQ(order, (std::vector<std::uint64_t>{8, 9, 10, 11, 12, 13, 14, 15,  //
                                               0, 1, 2, 3, 4, 5, 6, 7}));
  ASSERT_EQ(links_[2]->asked.size(), 1U) << "flushed before it is called present";
  EXPECT_EQ(links_[2]->asked.front().request.op, IoOp::flush);
  EXPECT_FALSE(healed.has_value());
  links_[2]->answer(0, IoReply{});
  scheduler.run_for(std::chrono::milliseconds(100));
  EXPECT_EQ(healed, true);
  EXPECT_FALSE(core_.members.missing(2));
}

}  // namespace
}  // namespace ukai
