// SPDX-License-Identifier: BSD-2-Clause
#include "ukai/block_map.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace ukai {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;

constexpr std::uint32_t block_bytes = 64U << 10;

Geometry geometry_of(std::uint64_t blocks) { return {blocks * block_bytes, block_bytes}; }

Placement placement_of(std::vector<std::string> names, bool stripe = false,
                       std::uint32_t replicas = 0) {
  Placement placement;
  for (std::string& name : names) placement.nodes.emplace_back(std::move(name));
  placement.stripe = stripe;
  placement.replicas = replicas;
  auto checked = check_placement(placement);
  EXPECT_TRUE(checked.ok()) << checked.error().what;
  return *checked;
}

std::string refusal(std::vector<std::string> names, bool stripe, std::uint32_t replicas) {
  Placement placement;
  for (std::string& name : names) placement.nodes.emplace_back(std::move(name));
  placement.stripe = stripe;
  placement.replicas = replicas;
  const auto checked = check_placement(placement);
  EXPECT_TRUE(checked.failed_with(Code::invalid));
  return checked.ok() ? "" : checked.error().what;
}

std::vector<std::string> many_names(std::size_t count) {
  std::vector<std::string> names;
  for (std::size_t i = 0; i < count; ++i) names.push_back("n" + std::to_string(i));
  return names;
}

/// The nodes of a block, as "a b".
std::string nodes_of(const pb::MapSegment& segment, std::uint64_t block) {
  std::string out;
  const MapSegmentView view(segment);
  for (const Location& location : view.locations(BlockIndex{block})) {
    out += (out.empty() ? "" : " ") + location.node.str();
    EXPECT_EQ(location.status, SyncStatus::in_sync);
  }
  return out;
}

/// Segment 0 with one set for each of `names` and nothing in it yet.
pb::MapSegment segment_with_sets(std::vector<std::string> names) {
  pb::MapSegment segment;
  for (const std::string& name : names) {
    pb::ReplicaSet* set = segment.add_sets();
    set->add_nodes(name);
    set->add_status(0);
  }
  return segment;
}

void add_run(pb::MapSegment& segment, std::uint32_t blocks, std::uint32_t first_set,
             std::uint32_t cycle) {
  pb::MapRun* run = segment.add_runs();
  run->set_blocks(blocks);
  run->set_first_set(first_set);
  run->set_cycle(cycle);
}

TEST(CheckPlacement, puts_every_block_on_all_nodes_unless_told_otherwise) {
  EXPECT_EQ(placement_of({"a", "b", "c"}).replicas, 3U);
  EXPECT_EQ(placement_of({"a", "b", "c"}, true).replicas, 1U);
  EXPECT_EQ(placement_of({"a", "b", "c"}, true, 2).nodes.size(), 3U);
}

TEST(CheckPlacement, takes_the_first_nodes_when_fewer_replicas_are_wanted_without_stripes) {
  const Placement placement = placement_of({"c", "a", "b"}, false, 2);
  EXPECT_THAT(placement.nodes, ElementsAre(NodeId("c"), NodeId("a")));
}

TEST(CheckPlacement, refuses_what_cannot_be) {
  EXPECT_THAT(refusal({}, false, 0), HasSubstr("no location"));
  EXPECT_THAT(refusal({"a", "b", "a"}, false, 0), HasSubstr("node a is named twice"));
  EXPECT_THAT(refusal({"a", "b"}, true, 3), HasSubstr("3 replicas need as many nodes, 2"));
  EXPECT_THAT(refusal(many_names(9), false, 0), HasSubstr("over the limit of 8"));
  EXPECT_THAT(refusal(many_names(65), true, 1), HasSubstr("65 nodes are given"));
  EXPECT_EQ(placement_of(many_names(64), true, 8).nodes.size(), 64U);
}

TEST(MakeMap, needs_one_set_and_one_run_for_a_disk_without_stripes) {
  const auto map = make_map(geometry_of(16384), placement_of({"a", "b"}));
  ASSERT_EQ(map.size(), 1U);
  EXPECT_EQ(map[0].sets_size(), 1);
  ASSERT_EQ(map[0].runs_size(), 1);
  EXPECT_EQ(map[0].runs(0).blocks(), 16384U);
  EXPECT_EQ(nodes_of(map[0], 0), "a b");
  EXPECT_EQ(nodes_of(map[0], 16383), "a b");
}

TEST(MakeMap, gives_the_last_segment_only_the_blocks_that_are_left) {
  const auto map = make_map(geometry_of(16384 + 3), placement_of({"a"}));
  ASSERT_EQ(map.size(), 2U);
  EXPECT_EQ(map[1].segment(), 1U);
  EXPECT_EQ(map[1].runs(0).blocks(), 3U);
  EXPECT_EQ(nodes_of(map[1], 16384 + 2), "a");
}

TEST(MakeMap, stripes_block_i_over_the_nodes_from_i_on_across_segments) {
  const std::vector<std::string> names{"a", "b", "c"};
  const Geometry geometry = geometry_of(3 * 16384);  // 16384 is no multiple of 3
  const auto map = make_map(geometry, placement_of(names, true, 2));
  for (const pb::MapSegment& segment : map) EXPECT_TRUE(check_segment(segment, geometry).ok());
  for (std::uint64_t block : {0U, 1U, 2U, 3U, 16383U, 16384U, 16385U, 32767U, 32768U, 49151U}) {
    EXPECT_EQ(nodes_of(map[block / 16384], block), names[block % 3] + " " + names[(block + 1) % 3])
        << block;
  }
}

TEST(GrowMap, lengthens_the_last_run_within_the_segment) {
  const auto map = make_map(geometry_of(10), placement_of({"a", "b"}));
  const auto grown = grow_map(map[0], geometry_of(10), geometry_of(20));
  ASSERT_EQ(grown.size(), 1U);
  EXPECT_EQ(grown[0].runs_size(), 1);
  EXPECT_EQ(grown[0].runs(0).blocks(), 20U);
}

TEST(GrowMap, returns_a_full_last_segment_as_it_is_and_adds_new_ones) {
  const auto map = make_map(geometry_of(16384), placement_of({"a"}));
  const auto grown = grow_map(map[0], geometry_of(16384), geometry_of(2 * 16384 + 1));
  ASSERT_EQ(grown.size(), 3U);
  EXPECT_EQ(grown[0].SerializeAsString(), map[0].SerializeAsString());
  EXPECT_EQ(grown[2].segment(), 2U);
  EXPECT_EQ(grown[2].runs(0).blocks(), 1U);
}

TEST(GrowMap, makes_the_map_that_a_disk_created_at_that_size_would_have) {
  const Placement placement = placement_of({"a", "b", "c", "d", "e"}, true, 2);
  for (const std::uint64_t from : {1U, 4U, 5U, 16383U, 16384U}) {
    const Geometry before = geometry_of(from);
    const Geometry after = geometry_of(2 * 16384 + 7);
    const auto grown = grow_map(make_map(before, placement).back(), before, after);
    const auto fresh = make_map(after, placement);
    ASSERT_EQ(grown.size(), fresh.size());
    for (std::size_t i = 0; i < grown.size(); ++i) {
      EXPECT_TRUE(check_segment(grown[i], after).ok()) << from;
      for (std::uint64_t block = i * 16384;
           block < std::min<std::uint64_t>((i + 1) * 16384, after.block_count()); block += 97) {
        EXPECT_EQ(nodes_of(grown[i], block), nodes_of(fresh[i], block)) << from << " " << block;
      }
    }
  }
}

TEST(GrowMap, continues_the_last_run_and_keeps_the_earlier_ones) {
  pb::MapSegment last = segment_with_sets({"a", "b", "c"});
  add_run(last, 4, 2, 1);
  add_run(last, 3, 0, 2);  // a b a
  const auto grown = grow_map(last, geometry_of(7), geometry_of(16384 + 2));
  ASSERT_EQ(grown.size(), 2U);
  EXPECT_EQ(nodes_of(grown[0], 3), "c");
  EXPECT_EQ(nodes_of(grown[0], 7), "b");
  EXPECT_EQ(nodes_of(grown[0], 8), "a");
  EXPECT_EQ(nodes_of(grown[0], 16383), "b");
  EXPECT_EQ(nodes_of(grown[1], 16384), "a");
  EXPECT_EQ(nodes_of(grown[1], 16385), "b");
}

TEST(CheckSegment, takes_what_make_map_makes) {
  const Geometry geometry = geometry_of(16384 + 5);
  for (const auto& segment : make_map(geometry, placement_of({"a", "b"}, true))) {
    EXPECT_TRUE(check_segment(segment, geometry).ok());
  }
}

TEST(CheckSegment, refuses_damage_and_names_it) {
  const Geometry geometry = geometry_of(6);
  pb::MapSegment good = segment_with_sets({"a", "b"});
  add_run(good, 4, 0, 1);
  add_run(good, 2, 0, 2);
  ASSERT_TRUE(check_segment(good, geometry).ok());
  const std::pair<std::string, std::function<void(pb::MapSegment&)>> damages[] = {
      {"beyond the disk", [](auto& segment) { segment.set_segment(1); }},
      {"a replica set is empty", [](auto& segment) { segment.add_sets(); }},
      {"nodes without status", [](auto& segment) { segment.mutable_sets(0)->clear_status(); }},
      {"a node twice",
       [](auto& segment) {
         segment.mutable_sets(1)->add_nodes("b");
         segment.mutable_sets(1)->add_status(0);
       }},
      {"no valid node", [](auto& segment) { segment.mutable_sets(0)->set_nodes(0, "a/b"); }},
      {"no valid node", [](auto& segment) { segment.mutable_sets(0)->set_nodes(0, ""); }},
      {"more replica sets than blocks",
       [](auto& segment) {
         for (std::size_t i = 0; i < limits::segment_blocks; ++i) {
           *segment.add_sets() = segment.sets(0);
         }
       }},
      {"status is unknown", [](auto& segment) { segment.mutable_sets(0)->set_status(0, 3); }},
      {"a run is empty", [](auto& segment) { segment.mutable_runs(0)->set_blocks(0); }},
      {"a run is empty", [](auto& segment) { segment.mutable_runs(0)->set_cycle(0); }},
      {"not there", [](auto& segment) { segment.mutable_runs(0)->set_first_set(2); }},
      {"not there", [](auto& segment) { segment.mutable_runs(1)->set_cycle(3); }},
      {"not there", [](auto& segment) { segment.mutable_runs(0)->set_first_set(~0U); }},
      {"7 blocks instead of 6", [](auto& segment) { segment.mutable_runs(0)->set_blocks(5); }},
      {"5 blocks instead of 6", [](auto& segment) { segment.mutable_runs(0)->set_blocks(3); }},
      {"blocks instead of 6", [](auto& segment) { segment.mutable_runs(0)->set_blocks(~0U); }},
      {"0 blocks instead of 6", [](auto& segment) { segment.Clear(); }},
  };
  for (const auto& [why, damage] : damages) {
    pb::MapSegment segment = good;
    damage(segment);
    const auto fine = check_segment(segment, geometry);
    ASSERT_TRUE(fine.failed_with(Code::corrupt)) << why;
    EXPECT_THAT(fine.error().what, HasSubstr(why));
  }
}

TEST(MapSegmentView, finds_the_set_at_each_side_of_a_run_border) {
  pb::MapSegment segment = segment_with_sets({"a", "b", "c"});
  segment.set_segment(2);
  add_run(segment, 1, 2, 1);
  add_run(segment, 10, 0, 1);
  add_run(segment, 16373, 1, 2);
  const MapSegmentView view(segment);
  const std::uint64_t first = 2 * 16384;
  EXPECT_EQ(view.blocks().begin, BlockIndex{first});
  EXPECT_EQ(view.blocks().end, BlockIndex{first + 16384});
  EXPECT_EQ(view.set_of(BlockIndex{first}), 2U);
  EXPECT_EQ(view.set_of(BlockIndex{first + 1}), 0U);
  EXPECT_EQ(view.set_of(BlockIndex{first + 10}), 0U);
  EXPECT_EQ(view.set_of(BlockIndex{first + 11}), 1U);
  EXPECT_EQ(view.set_of(BlockIndex{first + 12}), 2U);
  EXPECT_EQ(view.set_of(BlockIndex{first + 16383}), 1U);
}

TEST(MapSegmentView, keeps_the_order_and_the_status_of_a_sets_replicas) {
  pb::MapSegment segment = segment_with_sets({"b"});
  segment.mutable_sets(0)->add_nodes("a");
  segment.mutable_sets(0)->add_status(2);
  add_run(segment, 1, 0, 1);
  EXPECT_THAT(MapSegmentView(segment).locations(BlockIndex{0}),
              ElementsAre(Location{NodeId("b"), SyncStatus::in_sync},
                          Location{NodeId("a"), SyncStatus::out_of_sync}));
}

TEST(MapSegmentView, counts_and_lists_the_blocks_of_each_set_as_one_by_one_would) {
  pb::MapSegment segment = segment_with_sets({"a", "b", "c"});
  add_run(segment, 7, 0, 3);
  add_run(segment, 5, 1, 1);
  add_run(segment, 3, 1, 2);
  const MapSegmentView view(segment);
  std::vector<std::uint64_t> counted(3);
  for (std::uint64_t block = 0; block < 15; ++block) ++counted[view.set_of(BlockIndex{block})];
  for (std::size_t set = 0; set < 3; ++set) EXPECT_EQ(view.blocks_of_set(set), counted[set]);

  std::uint64_t at = 0;
  for (const auto& span : view.spans()) {
    EXPECT_EQ(raw(span.blocks.begin), at);
    for (; at < raw(span.blocks.end); ++at) EXPECT_EQ(view.set_of(BlockIndex{at}), span.set);
  }
  EXPECT_EQ(at, 15U);
}

TEST(MapSegments, fit_a_znode_when_every_block_lies_elsewhere_than_its_neighbours) {
  pb::MapSegment segment;
  for (const std::string& node : many_names(64)) {
    for (std::uint32_t status = 0; status < 2; ++status) {
      pb::ReplicaSet* set = segment.add_sets();
      set->add_nodes(node + std::string(61, 'x'));
      set->add_status(status);
    }
  }
  for (std::uint32_t i = 0; i < limits::segment_blocks; ++i) add_run(segment, 1, i * 37 % 128, 1);
  ASSERT_TRUE(check_segment(segment, geometry_of(limits::segment_blocks)).ok());
  EXPECT_LT(segment.ByteSizeLong(), limits::znode_bytes_max / 2);
}

}  // namespace
}  // namespace ukai
