// SPDX-License-Identifier: BSD-2-Clause
#include "ctl/move_plan.h"

#include <gmock/gmock.h>

#include "ukai/geometry.h"
#include "ukai/location_change.h"

namespace ukai::ctl {
namespace {

using testing::HasSubstr;

NodeInfo node(const std::string& id, const std::string& site, std::uint64_t free_bytes = 100) {
  NodeInfo info;
  info.record.set_id(id);
  info.record.set_site(site);
  info.alive.emplace();
  info.alive->set_free_bytes(free_bytes);
  return info;
}

/// "n1->n3 0-7", one a move.
std::vector<std::string> moves(const Result<MovePlan>& plan) {
  std::vector<std::string> out;
  if (!plan.ok()) return {plan.error().what};
  for (const PlannedMove& planned : plan->moves) {
    const pb::JobMove& move = planned.move;
    out.push_back(move.from() + "->" + move.to() + " " + std::to_string(move.begin()) + "-" +
                  std::to_string(move.end() - 1) + " " + std::to_string(planned.blocks));
  }
  return out;
}

class MovePlans : public testing::Test {
 protected:
  MovePlans() {
    disk.set_name("vm-1");
    disk.set_size(40U << 20);
    disk.set_block_size(4U << 20);
    lay({NodeId("n1"), NodeId("n2")}, 2);
    wish.blocks = {BlockIndex{0}, BlockIndex{10}};
  }

  void lay(const std::vector<NodeId>& on, std::uint32_t replicas) {
    disk.clear_members();
    for (const NodeId& id : on) disk.add_members()->set_node(id.str());
    Placement placement;
    placement.nodes = on;
    placement.replicas = replicas;
    placement.stripe = on.size() > replicas;
    segments = make_map(*make_geometry(disk.size(), disk.block_size()), placement);
  }

  std::vector<std::string> plan() { return moves(plan_moves(disk, segments, wish)); }
  void to(std::vector<std::string> ids, std::uint64_t weight = 1) {
    for (std::string& id : ids) wish.to.nodes.push_back({NodeId(std::move(id)), weight});
  }

  static pb::JobMove move(const std::string& from, const std::string& to, std::uint64_t begin,
                          std::uint64_t end) {
    pb::JobMove out;
    out.set_from(from);
    out.set_to(to);
    out.set_begin(begin);
    out.set_end(end);
    return out;
  }
  /// `blocks` get a location on the node.
  void arrive(const NodeId& node, BlockRange blocks, SyncStatus status) {
    LocationsWanted wanted;
    wanted.nodes = {node};
    wanted.blocks = blocks;
    auto added = add_locations(disk, segments, wanted);
    ASSERT_TRUE(added.ok());
    std::vector<BlockReplica> replicas;
    for (BlockIndex block = blocks.begin; block < blocks.end; block = next(block)) {
      replicas.push_back({block, node});
    }
    auto changed = set_status(added->record, added->segments, replicas, status);
    disk = changed.record;
    segments = status == SyncStatus::out_of_sync ? added->segments : changed.segments;
  }

  pb::DiskRecord disk;
  std::vector<pb::MapSegment> segments;
  MoveWish wish;
  const std::vector<NodeInfo> nodes{node("n1", "jp/tokyo/dc1"), node("n2", "jp/tokyo/dc2"),
                                    node("n3", "jp/osaka"), node("n4", "jp/osaka2")};
};

TEST_F(MovePlans, give_all_blocks_to_each_named_node_that_lacks_them) {
  to({"n2", "n3", "n4"});
  EXPECT_EQ(plan(), (std::vector<std::string>{"->n3 0-9 10", "->n4 0-9 10"}));
}

TEST_F(MovePlans, move_what_lies_on_the_source) {
  lay({NodeId("n1"), NodeId("n2")}, 1);  // in turn
  wish.from = NodeId("n2");
  to({"n3"});
  EXPECT_EQ(plan(), (std::vector<std::string>{"n2->n3 1-9 5"}));
  wish.from = NodeId("n4");
  EXPECT_TRUE(plan().empty());
}

TEST_F(MovePlans, share_blocks_by_free_space_in_long_stretches) {
  wish.from = NodeId("n1");
  wish.share = true;
  wish.to.nodes = {{NodeId("n3"), 300}, {NodeId("n4"), 100}};
  EXPECT_EQ(plan(), (std::vector<std::string>{"n1->n3 0-7 8", "n1->n4 8-9 2"}));
}

TEST_F(MovePlans, do_not_give_a_block_to_who_has_it) {
  wish.from = NodeId("n1");
  wish.share = true;
  to({"n2"});
  EXPECT_THAT(plan().front(), HasSubstr("block 0 lies on all of the targets already"));
  to({"n3"});
  EXPECT_EQ(plan(), (std::vector<std::string>{"n1->n3 0-9 10"}));
}

TEST_F(MovePlans, leave_out_what_is_under_way) {
  wish.from = NodeId("n1");
  wish.share = true;
  to({"n3", "n4"});
  wish.under_way = {move("n1", "n3", 0, 5)};
  arrive(NodeId("n3"), {BlockIndex{0}, BlockIndex{5}}, SyncStatus::out_of_sync);
  EXPECT_EQ(plan(), (std::vector<std::string>{"n1->n3 5-7 3", "n1->n4 8-9 2"}));
  wish.under_way.push_back(move("n1", "n4", 5, 10));
  EXPECT_TRUE(plan().empty());
  // Not: another way, other blocks, another target.
  EXPECT_TRUE(serves(move("n1", "n4", 5, 10), wish));
  EXPECT_FALSE(serves(move("", "n4", 5, 10), wish));
  EXPECT_FALSE(serves(move("n1", "n2", 5, 10), wish));
  EXPECT_FALSE(serves(move("n1", "n4", 10, 12), wish));
  wish.share = false;
  EXPECT_EQ(plan(), (std::vector<std::string>{"n1->n3 5-9 5", "n1->n4 0-4 5"}));
}

TEST_F(MovePlans, go_on_with_what_a_failed_job_has_left) {
  wish.from = NodeId("n1");
  wish.share = true;
  to({"n3"});
  arrive(NodeId("n3"), {BlockIndex{0}, BlockIndex{4}}, SyncStatus::in_sync);
  EXPECT_THAT(plan().front(), HasSubstr("block 0 lies on all of the targets already"));
  wish.left_lying = {move("n1", "n3", 0, 10)};
  EXPECT_EQ(plan(), (std::vector<std::string>{"n1->n3 0-9 6"})) << "four only leave n1";
}

TEST_F(MovePlans, fill_locations_that_wait_for_it) {
  arrive(NodeId("n4"), {BlockIndex{2}, BlockIndex{4}}, SyncStatus::out_of_sync);
  to({"n4"});
  EXPECT_EQ(plan(), (std::vector<std::string>{"->n4 0-9 10"}));
  wish.from = NodeId("n1");
  wish.share = true;
  wish.blocks = {BlockIndex{2}, BlockIndex{4}};
  wish.to.nodes.insert(wish.to.nodes.begin(), {NodeId("n3"), 1000});
  EXPECT_EQ(plan(), (std::vector<std::string>{"n1->n4 2-3 2"}));
}

TEST_F(MovePlans, give_one_node_of_a_site_a_copy_and_no_second_one) {
  wish.share = true;
  to({"n3", "n4"});
  EXPECT_EQ(plan(), (std::vector<std::string>{"->n3 0-4 5", "->n4 5-9 5"}));
  arrive(NodeId("n3"), {BlockIndex{0}, BlockIndex{6}}, SyncStatus::in_sync);
  EXPECT_EQ(plan(), (std::vector<std::string>{"->n3 6-7 2", "->n4 8-9 2"}));
  arrive(NodeId("n4"), {BlockIndex{6}, BlockIndex{10}}, SyncStatus::in_sync);
  EXPECT_TRUE(plan().empty());
}

TEST_F(MovePlans, choose_nodes_by_site_with_what_lies_below_and_by_label) {
  auto found = resolve_targets({"site=jp/tokyo"}, nodes);
  ASSERT_TRUE(found.ok());
  EXPECT_TRUE(found->selected);
  ASSERT_EQ(found->nodes.size(), 2U);
  EXPECT_EQ(found->nodes[1].node, NodeId("n2"));
  ASSERT_EQ(resolve_targets({"site=jp/osaka"}, nodes)->nodes.size(), 1U) << "not jp/osaka2";
  auto labelled = nodes;
  labelled[3].record.add_labels("ssd");
  EXPECT_EQ(resolve_targets({"label=ssd"}, labelled)->nodes.front().node, NodeId("n4"));
}

TEST_F(MovePlans, refuse_targets_that_cannot_take_anything) {
  EXPECT_TRUE(resolve_targets({"n9"}, nodes).failed_with(Code::not_found));
  EXPECT_TRUE(resolve_targets({"site=mars"}, nodes).failed_with(Code::not_found));
  EXPECT_TRUE(resolve_targets({"n1", "n1"}, nodes).failed_with(Code::invalid));
  EXPECT_TRUE(resolve_targets({"n1", "site=jp"}, nodes).failed_with(Code::invalid));
  EXPECT_TRUE(resolve_targets({"rack=7"}, nodes).failed_with(Code::invalid));
  auto worse = nodes;
  worse[2].alive.reset();
  worse[3].record.set_admin_state("draining");
  EXPECT_TRUE(resolve_targets({"n3"}, worse).failed_with(Code::refused));
  EXPECT_TRUE(resolve_targets({"n4"}, worse).failed_with(Code::refused));
  EXPECT_TRUE(resolve_targets({"site=jp/osaka"}, worse).failed_with(Code::refused));
  EXPECT_EQ(resolve_targets({"site=jp"}, worse)->nodes.size(), 2U);
}

}  // namespace
}  // namespace ukai::ctl
