// SPDX-License-Identifier: BSD-2-Clause
#include <gmock/gmock.h>

#include "ctl/lookup.h"
#include "ctl/rebuild_plan.h"
#include "unit/ctl/ctl_fixture.h"

namespace ukai::ctl {
namespace {

using ::testing::HasSubstr;

constexpr std::uint32_t block_size = 4U << 20;
constexpr const char* id = "0f3c9b5d6a7e4f10b2c4d6e8f0a1b3c5";

std::vector<BlockRange> ranges(const std::vector<std::pair<std::uint64_t, std::uint64_t>>& pairs) {
  std::vector<BlockRange> out;
  for (const auto& [begin, end] : pairs) out.push_back({BlockIndex{begin}, BlockIndex{end}});
  return out;
}

NodeHolding holding(const std::string& node, const std::vector<std::string>& members,
                    const std::vector<std::pair<std::uint64_t, std::uint64_t>>& blocks) {
  NodeHolding out;
  out.node = node;
  out.disk.set_disk_id(id);
  out.disk.set_name("vm-1");
  out.disk.set_size(12ULL * block_size);
  out.disk.set_block_size(block_size);
  out.disk.set_epoch(7);
  out.disk.set_generation(1);
  for (const std::string& member : members) out.disk.add_members(member);
  out.blocks = ranges(blocks);
  return out;
}

/// "n1+n2" for each block.
std::vector<std::string> layout(const Proposal& proposal) {
  std::vector<std::string> out;
  for (const pb::MapSegment& segment : proposal.segments) {
    const MapSegmentView view(segment);
    for (auto block = view.blocks().begin; block < view.blocks().end;
         block = BlockIndex{raw(block) + 1}) {
      std::string nodes;
      for (const Location& location : view.locations(block)) {
        nodes += (nodes.empty() ? "" : "+") + location.node.str();
      }
      out.push_back(nodes);
    }
  }
  return out;
}

Proposal proposed(const std::vector<NodeHolding>& holdings) {
  auto out = propose(id, holdings, {});
  EXPECT_TRUE(out.ok()) << out.error().what;
  return out.ok() ? *out : Proposal();
}

TEST(RebuildPlan, finds_a_plain_layout_again) {
  const auto plan = proposed({holding("n1", {"n1", "n2"}, {{0, 3}}),  //
                              holding("n2", {"n1", "n2"}, {{0, 3}})});
  EXPECT_EQ(layout(plan), std::vector<std::string>(12, "n1+n2"));
  ASSERT_EQ(plan.segments.size(), 1U);
  EXPECT_EQ(plan.segments[0].runs_size(), 1);
  EXPECT_EQ(plan.blocks_found, 3U);
  EXPECT_TRUE(plan.record.unproven());
  EXPECT_EQ(plan.record.epoch(), 1'000'000'007U);
  EXPECT_EQ(plan.record.name(), "vm-1");
  EXPECT_TRUE(plan.silent.empty());
}

TEST(RebuildPlan, finds_a_striped_layout_again) {
  const std::vector<std::string> members{"n1", "n2", "n3"};
  const auto plan = proposed({holding("n1", members, {{0, 1}, {2, 4}, {5, 6}}),
                              holding("n2", members, {{0, 2}, {3, 5}}),
                              holding("n3", members, {{1, 3}, {4, 6}})});
  std::vector<std::string> wanted;
  for (int i = 0; i < 4; ++i) {
    for (const char* set : {"n1+n2", "n2+n3", "n1+n3"}) wanted.emplace_back(set);
  }
  EXPECT_EQ(layout(plan), wanted);
}

TEST(RebuildPlan, gives_no_location_to_a_node_without_a_trace_of_the_block) {
  // n2 has no file of blocks 2-3 and nobody says that it missed them: it was taken off them.
  const auto plan = proposed({holding("n1", {"n1", "n2"}, {{0, 4}}),  //
                              holding("n2", {"n1", "n2"}, {{0, 2}})});
  const auto found = layout(plan);
  EXPECT_EQ(found[1], "n1+n2");
  EXPECT_EQ(found[2], "n1");
  EXPECT_EQ(found[3], "n1");
}

TEST(RebuildPlan, believes_the_logs_about_blocks_without_a_file) {
  auto n1 = holding("n1", {"n1", "n2"}, {{0, 2}});
  n1.missed["n2"] = ranges({{1, 2}, {5, 6}});  // 1: written; 5: discarded, n2 still has it
  const auto plan = proposed({n1, holding("n2", {"n1", "n2"}, {{0, 1}, {5, 6}})});
  EXPECT_EQ(layout(plan), std::vector<std::string>(12, "n1+n2"));
}

TEST(RebuildPlan, leaves_out_nodes_that_the_newest_session_did_not_have) {
  auto n3 = holding("n3", {"n2", "n3"}, {{0, 12}});
  n3.disk.set_epoch(6);
  n3.disk.set_name("old-name");
  const auto plan = proposed({holding("n1", {"n1", "n2"}, {{0, 2}}), n3});
  EXPECT_EQ(layout(plan), std::vector<std::string>(12, "n1"));
  EXPECT_EQ(plan.silent, (std::vector<std::string>{"n2"}));
  EXPECT_EQ(plan.record.name(), "vm-1");
}

TEST(RebuildPlan, makes_the_best_of_what_older_versions_kept) {
  auto n1 = holding("n1", {}, {{0, 2}});
  n1.disk.clear_name();
  n1.disk.clear_size();
  const auto plan = proposed({n1});
  EXPECT_EQ(plan.record.name(), "rebuilt-0f3c9b5d");
  EXPECT_EQ(plan.record.size(), 2ULL * block_size);
  EXPECT_EQ(layout(plan), std::vector<std::string>(2, "n1"));
}

TEST(RebuildPlan, never_takes_a_name_twice) {
  auto plan = propose(id, {holding("n1", {"n1"}, {{0, 1}})}, {"vm-1"});
  ASSERT_TRUE(plan.ok());
  EXPECT_EQ(plan->record.name(), "vm-1-0f3c9b5d");
}

TEST(RebuildPlan, refuses_blocks_of_two_sizes) {
  auto n2 = holding("n2", {"n1", "n2"}, {{0, 1}});
  n2.disk.set_block_size(2 * block_size);
  EXPECT_TRUE(
      propose(id, {holding("n1", {"n1", "n2"}, {{0, 1}}), n2}, {}).failed_with(Code::corrupt));
}

/// n1 runs and holds blocks 0-1 of a disk on n1 and n2; the metadata know no disk.
class Rebuild : public CtlTest {
 protected:
  Rebuild() {
    add_node("n1");
    calls_.on_held = [this](const std::string& node, const pb::HeldRequest& request) {
      return answer(node, request);
    };
  }
  Result<pb::HeldReply> answer(const std::string& node, const pb::HeldRequest& request) {
    ++asked_;
    pb::HeldReply reply;
    if (request.list() == pb::HeldRequest::DISKS) {
      if (request.after_disk().empty()) *reply.add_disks() = holding(node, {"n1", "n2"}, {}).disk;
    } else if (request.list() == pb::HeldRequest::BLOCKS) {
      pb::BlockSpan& span = *reply.add_blocks();  // one block a page
      span.set_begin(request.from_block());
      span.set_end(request.from_block() + 1);
      reply.set_more(request.from_block() == 0);
    }
    return reply;
  }
  int asked_ = 0;
};

TEST_F(Rebuild, shows_what_it_would_do) {
  add_node("n2");
  const auto before = tree_.paths();
  EXPECT_EQ(done("metadata rebuild"),
            "disk vm-1: 48 MiB, 2 blocks found (id 0f3c9b5d6a7e4f10b2c4d6e8f0a1b3c5)\n"
            "  blocks 0-11: n1,n2\n"
            "1 disk to be entered; nothing is changed without --apply\n");
  EXPECT_EQ(tree_.paths(), before);
}

TEST_F(Rebuild, enters_the_disks_once) {
  add_node("n2");
  EXPECT_THAT(done("metadata rebuild --apply"), HasSubstr("1 disk entered\n"));
  EXPECT_EQ(disk("vm-1").record.id(), id);
  EXPECT_TRUE(disk("vm-1").record.unproven());
  EXPECT_THAT(done("events"), HasSubstr("metadata rebuilt"));
  EXPECT_THAT(done("disk map vm-1"), HasSubstr("n1"));
  EXPECT_EQ(done("metadata rebuild --apply"),
            "the nodes hold no disk that the metadata do not know\n");
}

TEST_F(Rebuild, waits_for_members_that_do_not_run) {
  add_down_node("n2");
  EXPECT_THAT(done("metadata rebuild"), HasSubstr("node n2 has a replica, and was not asked"));
  const auto before = tree_.paths();
  fails("metadata rebuild --apply", 8,
        "disk vm-1: node n2 has a replica and does not run; start it, or say --accept-loss if it "
        "is gone for good");
  EXPECT_EQ(tree_.paths(), before);
  done("metadata rebuild --apply --accept-loss");
  EXPECT_EQ(disk("vm-1").record.members_size(), 1);
}

TEST_F(Rebuild, fails_when_a_node_does_not_answer) {
  calls_.on_held = nullptr;
  EXPECT_EQ(run("metadata rebuild").status, 7);
}

class RebuildOfNothing : public CtlTest {
 protected:
  RebuildOfNothing() : CtlTest(false) {}
};

TEST_F(RebuildOfNothing, begins_with_the_tree_of_the_cluster) {
  EXPECT_EQ(run("metadata rebuild --cluster vm-1").status, 2);
  EXPECT_EQ(run("metadata rebuild").status, 3);
  EXPECT_THAT(done(std::string("metadata rebuild --cluster ") + id), HasSubstr(id));
  EXPECT_EQ(run("metadata rebuild").status, 3) << "no node runs";
  add_node("n1");
  EXPECT_EQ(run(std::string("metadata rebuild --cluster ") + id).status, 8);
}

}  // namespace
}  // namespace ukai::ctl
