// SPDX-License-Identifier: BSD-2-Clause
#include <gmock/gmock.h>

#include "ukai/block_map.h"
#include "unit/ctl/ctl_fixture.h"

namespace ukai::ctl {
namespace {

using ::testing::HasSubstr;
using ::testing::Not;

class DiskCommands : public CtlTest {
 protected:
  DiskCommands() {
    add_node("n1");
    add_node("n2");
    add_node("n3");
  }
  void make_disk(const std::string& name = "vm-1") {
    EXPECT_EQ(done("disk create " + name + " --size 1G --location n1,n2"), "");
  }
};

// -- create

TEST_F(DiskCommands, create_writes_the_record_and_its_map) {
  EXPECT_EQ(done("disk create vm-1 --size 1G --location n1,n2 --meta os=debian --meta x=y=z"), "");
  const pb::DiskRecord record = disk("vm-1").record;
  EXPECT_EQ(record.size(), 1U << 30);
  EXPECT_EQ(record.block_size(), 4U << 20);
  EXPECT_EQ(record.generation(), 1U);
  ASSERT_EQ(record.members_size(), 2);
  EXPECT_EQ(record.members(1).node(), "n2");
  EXPECT_FALSE(record.members(1).missing());
  EXPECT_EQ(record.meta().at("os"), "debian");
  EXPECT_EQ(record.meta().at("x"), "y=z");
  EXPECT_EQ(record.created_unix_s(), 1'763'838'131U);
  EXPECT_EQ(done("disk map vm-1"), "BLOCKS  COUNT  REPLICAS\n0-255     256  n1:Y n2:Y\n");
}

TEST_F(DiskCommands, create_takes_only_as_many_nodes_as_replicas) {
  done("disk create vm-1 --size 8M --location n1,n2,n3 --replicas 2");
  EXPECT_EQ(disk("vm-1").record.members_size(), 2);
  EXPECT_THAT(done("disk map vm-1"), HasSubstr("0-1         2  n1:Y n2:Y\n"));
}

TEST_F(DiskCommands, create_stripes) {
  done("disk create vm-1 --size 1G --location n1,n2,n3 --stripe --replicas 2");
  EXPECT_EQ(disk("vm-1").record.members_size(), 3);
  EXPECT_THAT(done("disk map vm-1"),
              HasSubstr("0-255     256  n1:Y n2:Y | n2:Y n3:Y | n3:Y n1:Y\n"));
  EXPECT_THAT(done("disk map vm-1 --blocks 1"), HasSubstr("1           1  n2:Y n3:Y\n"));
  EXPECT_THAT(done("disk list"), HasSubstr("n1,n2,n3 striped"));
}

TEST_F(DiskCommands, create_of_16_TiB_is_quick_and_small) {
  const auto begin = std::chrono::steady_clock::now();
  done("disk create big --size 16T --location n1,n2");
  EXPECT_LT(std::chrono::steady_clock::now() - begin, std::chrono::seconds(2));
  std::size_t bytes = 0;
  for (std::uint32_t i = 0; i < 256; ++i) {
    auto segment = sync_wait(catalog_->load_segment(*DiskId::parse(disk("big").record.id()), i));
    ASSERT_TRUE(segment.ok());
    bytes += segment->segment.ByteSizeLong();
  }
  EXPECT_LT(bytes, 1U << 20);
  EXPECT_THAT(done("disk map big"), HasSubstr("0-4194303  4194304  n1:Y n2:Y\n"));
}

TEST_F(DiskCommands, options_and_names_may_come_in_any_order) {
  done("disk create --location n1 --size 8M vm-1");
  done("disk create vm-2 --size 8M --location n1 --location n2 -o table");
  EXPECT_EQ(disk("vm-2").record.members_size(), 2);
  done("disk create sync --size 8M --location n1");  // a command's name is a fine disk's name
  done("disk info sync");
}

TEST_F(DiskCommands, create_on_a_down_node_needs_force) {
  add_down_node("n4");
  fails("disk create vm-1 --size 8M --location n1,n4", 8,
        "node n4 is down; nothing was created (--force creates it all the same)");
  fails("disk info vm-1", 3, "there is no disk named 'vm-1'");
  done("disk create vm-1 --size 8M --location n1,n4 --force");
  EXPECT_THAT(done("disk list"), HasSubstr("degraded"));
}

// -- delete

TEST_F(DiskCommands, delete_leaves_orders_at_the_nodes_and_nothing_else) {
  const auto before = tree_.paths();
  make_disk();
  EXPECT_EQ(done("disk delete vm-1"), "");
  auto trash = sync_wait(catalog_->trash_of(NodeId("n2")));
  ASSERT_TRUE(trash.ok());
  ASSERT_EQ(trash->size(), 1U);
  EXPECT_EQ((*trash)[0].record.disk_name(), "vm-1");
  EXPECT_EQ(tree_.paths().size(), before.size() + 2 + 2);  // and two events
}

TEST_F(DiskCommands, delete_of_an_absent_disk_is_an_error_unless_told_otherwise) {
  fails("disk delete vm-1", 3, "there is no disk named 'vm-1'");
  EXPECT_EQ(done("disk delete vm-1 --if-exists"), "");
}

TEST_F(DiskCommands, delete_asks_the_holder_and_is_refused_while_the_disk_is_open) {
  make_disk();
  add_host("h1");
  const Lease lease = hold("vm-1", "h1");
  calls_.on_yield = [](const std::string& host, const pb::YieldLeaseRequest& request) {
    EXPECT_EQ(host, "h1");
    EXPECT_TRUE(request.for_delete());
    return Result<pb::YieldLeaseReply>(Error{Code::busy, "disk vm-1 is open on host h1"});
  };
  fails("disk delete vm-1", 5, "disk vm-1 is open on host h1");
  calls_.on_yield = [&](const std::string&, const pb::YieldLeaseRequest&) {
    EXPECT_TRUE(sync_wait(catalog_->release_lease(lease)).ok());
    return Result<pb::YieldLeaseReply>(pb::YieldLeaseReply());
  };
  EXPECT_EQ(done("disk delete vm-1"), "");
}

TEST_F(DiskCommands, delete_is_refused_while_a_host_without_the_lease_reads_the_disk) {
  make_disk();
  add_host("h1");
  add_host("h2");
  const std::string id = disk("vm-1").record.id();
  calls_.on_disk_status = [&](const std::string& host, const pb::DiskStatusRequest&) {
    pb::DiskStatusReply reply;
    pb::DiskStatusInfo* info = reply.add_disks();
    info->set_disk_id(id);
    info->set_readers(host == "h2" ? 1 : 0);
    return Result<pb::DiskStatusReply>(reply);
  };
  fails("disk delete vm-1", 5, "disk vm-1 is open on host h2");
  auto lease = sync_wait(catalog_->lease_of(*DiskId::parse(id)));
  EXPECT_FALSE(lease->has_value());  // ours was given back
}

TEST_F(DiskCommands, delete_says_who_holds_the_disk_when_the_holder_is_gone) {
  make_disk();
  hold("vm-1", "h7");
  fails("--timeout 0.1 disk delete vm-1", 5,
        "disk vm-1 is held by h7, which is not running; the lease ends by itself or with 'ukaictl "
        "lease release vm-1'");
}

TEST_F(DiskCommands, delete_names_the_host_that_does_not_answer) {
  make_disk();
  add_host("h1");
  hold("vm-1", "h1");
  fails("--timeout 0.1 disk delete vm-1", 7, "host h1 at 127.0.0.1:8001: connection refused");
}

// -- list, info, map

TEST_F(DiskCommands, list_shows_who_holds_what_and_how_it_is) {
  make_disk("a");
  done("disk create b --size 8M --block-size 64KiB --location n3");
  hold("b", "h1");
  EXPECT_EQ(done("disk list"),
            "NAME   SIZE  BLOCK SIZE  REPLICAS  NODES  HOLDER  HEALTH\n"
            "a     1 GiB       4 MiB         2  n1,n2  -       healthy\n"
            "b     8 MiB      64 KiB         1  n3     h1      healthy\n");
}

TEST_F(DiskCommands, list_shows_a_damaged_disk_and_all_others) {
  make_disk("a");
  make_disk("b");
  tree_.corrupt(Catalog::disk_path(*DiskId::parse(disk("a").record.id())), "garbage");
  const std::string list = done("disk list");
  EXPECT_THAT(list, HasSubstr("a         -           -         -  -      -       corrupt\n"));
  EXPECT_THAT(list, HasSubstr("b     1 GiB"));
  const Outcome info = run("disk info a");
  EXPECT_EQ(info.status, 1);
  EXPECT_THAT(info.err, HasSubstr("ukaictl: disk a: "));
}

TEST_F(DiskCommands, a_thousand_disks_are_listed_in_a_second) {
  for (int i = 0; i < 1000; ++i) {
    pb::DiskRecord record;
    record.set_id(DiskId::random().to_string());
    record.set_name("vm-" + std::to_string(i));
    record.set_size(4U << 20);
    record.set_block_size(4U << 20);
    record.set_generation(1);
    record.add_members()->set_node("n1");
    Placement placement{{NodeId("n1")}, false, 1};
    auto map = make_map({4U << 20, 4U << 20}, placement);
    ASSERT_TRUE(sync_wait(catalog_->create_disk(record, map)).ok());
  }
  const auto begin = std::chrono::steady_clock::now();
  const std::string list = done("disk list");
  EXPECT_LT(std::chrono::steady_clock::now() - begin, std::chrono::seconds(5));  // with sanitizers
  EXPECT_EQ(std::count(list.begin(), list.end(), '\n'), 1001);
}

TEST_F(DiskCommands, info_shows_members_lease_and_openers) {
  done("disk create vm-1 --size 1G --location n1,n2 --meta os=debian");
  lose_members("vm-1", {"n2"});
  add_host("h1");
  hold("vm-1", "h1");
  const std::string id = disk("vm-1").record.id();
  calls_.on_disk_status = [&](const std::string&, const pb::DiskStatusRequest&) {
    pb::DiskStatusReply reply;
    pb::DiskStatusInfo* info = reply.add_disks();
    info->set_disk_id(id);
    info->set_readers(2);
    info->set_writers(1);
    pb::MemberStatus* member = info->add_members();
    member->set_node("n2");
    member->set_state("healing");
    member->set_missed_blocks(3);
    return Result<pb::DiskStatusReply>(reply);
  };
  const std::string text = done("disk info vm-1");
  EXPECT_THAT(text, HasSubstr("size           1 GiB (1073741824 bytes)\n"));
  EXPECT_THAT(text, HasSubstr("health         degraded\n"));
  EXPECT_THAT(text, HasSubstr("node           n1 present\n"));
  EXPECT_THAT(text, HasSubstr("node           n2 healing (deadline) since "
                              "2025-11-22T19:00:00Z, 3 blocks missed\n"));
  EXPECT_THAT(text, HasSubstr("holder         h1 (guest, epoch 2, since "));
  EXPECT_THAT(text, HasSubstr("open           2 readers, 1 writer\n"));
  EXPECT_THAT(text, HasSubstr("allowed hosts  any\n"));
  EXPECT_THAT(text, HasSubstr("meta           os=debian\n"));
}

TEST_F(DiskCommands, map_shows_what_a_missing_member_lacks) {
  make_disk();
  lose_members("vm-1", {"n2"});
  EXPECT_THAT(done("disk map vm-1"), HasSubstr("0-255     256  n1:Y n2:?\n"));
  calls_.on_dirty_list = [](const std::string& node, const pb::DirtyListRequest& request) {
    EXPECT_EQ(node, "n1");
    EXPECT_EQ(request.missed_by(), "n2");
    pb::DirtyListReply reply;
    reply.add_blocks()->set_end(2);
    return Result<pb::DirtyListReply>(reply);
  };
  EXPECT_EQ(done("disk map vm-1"),
            "BLOCKS  COUNT  REPLICAS\n"
            "0-1         2  n1:Y n2:N\n"
            "2-255     254  n1:Y n2:Y\n");
  fails("disk map vm-1 --blocks 256", 2, "blocks 256: the disk's last block is 255");
}

TEST_F(DiskCommands, map_believes_a_holder_that_knows_of_no_missed_block) {
  make_disk();
  lose_members("vm-1", {"n2"});
  add_host("h1");
  hold("vm-1", "h1");
  const std::string id = disk("vm-1").record.id();
  calls_.on_disk_status = [&](const std::string&, const pb::DiskStatusRequest&) {
    pb::DiskStatusReply reply;
    reply.add_disks()->set_disk_id(id);
    reply.mutable_disks(0)->add_members()->set_node("n2");
    return Result<pb::DiskStatusReply>(reply);
  };
  EXPECT_THAT(done("disk map vm-1"), HasSubstr("0-255     256  n1:Y n2:Y\n"));
}

TEST_F(DiskCommands, map_is_coloured_on_terminals_only) {
  make_disk();
  EXPECT_THAT(done("disk map vm-1"), Not(HasSubstr("\x1b[")));
  terminal_ = true;
  EXPECT_THAT(done("disk map vm-1"),
              AllOf(HasSubstr("\x1b[32mn1:Y\x1b[0m"), HasSubstr("jp/tokyo/dc1  [\x1b[32m####")));
  variables_["NO_COLOR"] = "1";
  EXPECT_THAT(done("disk map vm-1"), AllOf(Not(HasSubstr("\x1b[")), HasSubstr("[####")));
}

// -- stats, scrub, verify

TEST_F(DiskCommands, stats_come_from_the_holder) {
  make_disk();
  EXPECT_EQ(done("disk stats vm-1"), "no host holds disk vm-1: there are no totals of it\n");
  add_host("h1");
  hold("vm-1", "h1");
  calls_.on_disk_status = [&](const std::string&, const pb::DiskStatusRequest& request) {
    pb::DiskStatusReply reply;
    pb::DiskStatusInfo* info = reply.add_disks();
    info->set_disk_id(request.disk_ids(0));
    info->mutable_counters()->set_reads(7);
    (*info->mutable_counters()->mutable_read_sizes())[8] = 7;
    return Result<pb::DiskStatusReply>(reply);
  };
  const std::string text = done("disk stats vm-1");
  EXPECT_THAT(text, HasSubstr("reads           7\n"));
  EXPECT_THAT(text, HasSubstr("REQUEST BYTES  READS  WRITES\n         4096      7       0\n"));
  EXPECT_EQ(done("get_statistics vm-1"), text);
}

TEST_F(DiskCommands, scrub_tells_what_it_found_and_fails_only_for_what_is_left) {
  make_disk();
  fails("scrub vm-1", 7, "no ukaid runs that could work on disk vm-1");
  add_host("h1");
  calls_.scrub_progress.resize(2);
  calls_.scrub_progress[1].set_blocks_done(256);
  calls_.scrub_progress[1].set_finished(true);
  EXPECT_EQ(done("scrub vm-1"), "disk vm-1: 256 blocks checked, all checksums fit\n");
  calls_.scrub_progress[1].set_damaged_units(3);
  calls_.scrub_progress[1].set_repaired_units(3);
  EXPECT_EQ(done("scrub vm-1"),
            "disk vm-1: 256 blocks checked, 3 units of 4 KiB did not fit, 3 repaired\n");
  calls_.scrub_progress[1].set_repaired_units(2);
  const Outcome outcome = run("scrub vm-1");
  EXPECT_EQ(outcome.status, 1);
  EXPECT_THAT(outcome.err, HasSubstr("disk vm-1: 1 unit of 4 KiB could not be repaired"));
  EXPECT_THAT(outcome.out, HasSubstr("3 units of 4 KiB did not fit, 2 repaired"));
}

TEST_F(DiskCommands, verify_says_that_all_is_well) {
  make_disk();
  add_host("h1");
  calls_.verify_progress.resize(2);
  calls_.verify_progress[0].set_blocks_done(100);
  calls_.verify_progress[1].set_blocks_done(256);
  calls_.verify_progress[1].set_finished(true);
  EXPECT_EQ(done("disk verify vm-1"),
            "disk vm-1: 256 blocks verified, all in-sync replicas are identical\n");
}

TEST_F(DiskCommands, verify_prints_blocks_that_differ_and_fails) {
  make_disk();
  add_host("h1");
  calls_.verify_progress.resize(1);
  pb::Difference* difference = calls_.verify_progress[0].add_differences();
  difference->set_block(17);
  difference->add_nodes("n2");
  calls_.verify_progress[0].set_finished(true);
  const Outcome outcome = run("disk verify vm-1");
  EXPECT_EQ(outcome.status, 1);
  EXPECT_EQ(outcome.out, "BLOCK  NODES THAT DIFFER FROM THE FIRST\n   17  n2\n");
  EXPECT_EQ(outcome.err, "ukaictl: disk vm-1: the replicas of 1 block differ\n");
}

TEST_F(DiskCommands, verify_needs_some_host) {
  make_disk();
  fails("disk verify vm-1", 7, "no ukaid runs that could work on disk vm-1");
}

// -- changes

TEST_F(DiskCommands, resize_grows_the_map_with_the_disk) {
  make_disk();
  EXPECT_EQ(done("disk resize vm-1 100G"), "");
  EXPECT_EQ(disk("vm-1").record.size(), 100ULL << 30);
  EXPECT_THAT(done("disk map vm-1"), HasSubstr("0-25599  25600  n1:Y n2:Y\n"));
  EXPECT_EQ(done("disk resize vm-1 100G"), "");
}

TEST_F(DiskCommands, resize_never_shrinks) {
  make_disk();
  fails("disk resize vm-1 512M", 8,
        "disk vm-1 has 1073741824 bytes; shrinking it to 536870912 would lose data");
  EXPECT_EQ(disk("vm-1").record.epoch(), 0U);  // nobody was disturbed
}

TEST_F(DiskCommands, resize_shrinks_by_force_and_leaves_orders_to_delete) {
  done("disk create vm-1 --size 100G --location n1,n2");  // two segments
  const std::string id = disk("vm-1").record.id();
  EXPECT_EQ(done("disk resize vm-1 512M --force"), "");
  EXPECT_EQ(disk("vm-1").record.size(), 512U << 20);
  EXPECT_THAT(done("disk map vm-1"), HasSubstr("0-127     128  n1:Y n2:Y\n"));
  EXPECT_TRUE(
      sync_wait(catalog_->load_segment(*DiskId::parse(id), 1)).failed_with(Code::not_found));
  for (const char* node : {"n1", "n2"}) {
    auto orders = sync_wait(catalog_->trash_of(NodeId(node)));
    ASSERT_TRUE(orders.ok() && orders->size() == 1) << node;
    const pb::TrashRecord& order = orders->front().record;
    EXPECT_EQ(order.disk_id(), id);
    ASSERT_EQ(order.blocks_size(), 1);
    EXPECT_EQ(order.blocks(0).begin(), 128U);
    EXPECT_EQ(order.blocks(0).end(), 25'600U);
    EXPECT_TRUE(order.released());
  }
  EXPECT_THAT(done("events"), HasSubstr("from 100 GiB to 512 MiB"));
  // Nothing comes in the place of what is still there.
  fails("disk resize vm-1 1G --timeout 100ms", 5,
        "node n1 has still to delete what was cut off this disk; try again when it has");
  for (const char* node : {"n1", "n2"}) {
    auto orders = sync_wait(catalog_->trash_of(NodeId(node)));
    EXPECT_TRUE(sync_wait(catalog_->remove_trash(NodeId(node), orders->front().key)).ok());
  }
  EXPECT_EQ(done("disk resize vm-1 100G"), "");
  EXPECT_THAT(done("disk map vm-1"), HasSubstr("0-25599  25600  n1:Y n2:Y\n"));
}

TEST_F(DiskCommands, resize_does_not_shrink_what_a_host_has_open) {
  add_host("h1");
  make_disk();
  calls_.on_disk_status = [&](const std::string&, const pb::DiskStatusRequest& request) {
    pb::DiskStatusReply reply;
    pb::DiskStatusInfo* info = reply.add_disks();
    info->set_disk_id(request.disk_ids(0));
    info->set_readers(1);
    return Result<pb::DiskStatusReply>(reply);
  };
  fails("disk resize vm-1 512M --force", 5, "disk vm-1 is open on host h1");
  EXPECT_EQ(disk("vm-1").record.size(), 1U << 30);
}

TEST_F(DiskCommands, info_shows_what_is_shared_and_what_is_not) {
  make_disk();
  calls_.on_disk_usage = [](const std::string& node, const pb::DiskUsageRequest&) {
    if (node == "n2") return Result<pb::DiskUsageReply>(Error{Code::unreachable, "no answer"});
    pb::DiskUsageReply reply;
    reply.set_allocated_bytes(12 << 20);
    reply.set_shared_bytes(4 << 20);
    return Result<pb::DiskUsageReply>(reply);
  };
  EXPECT_THAT(done("disk info vm-1"),
              HasSubstr("12 MiB on all nodes: 8 MiB exclusive, 4 MiB shared with other disks; "
                        "without n2\n"));
}

TEST_F(DiskCommands, rename_moves_the_name) {
  make_disk();
  make_disk("vm-2");
  fails("disk rename vm-1 vm-2", 4, "a disk named 'vm-2' exists already");
  EXPECT_EQ(done("disk rename vm-1 vm-3"), "");
  fails("disk info vm-1", 3, "there is no disk named 'vm-1'");
  EXPECT_EQ(disk("vm-3").record.name(), "vm-3");
}

TEST_F(DiskCommands, hosts_are_allowed_and_denied) {
  make_disk();
  EXPECT_EQ(done("disk hosts vm-1"), "any host\n");
  done("disk hosts vm-1 --allow h2 --allow h1");
  done("disk hosts vm-1 --allow h1");
  EXPECT_EQ(done("disk hosts vm-1"), "h1\nh2\n");
  done("disk hosts vm-1 --deny h1 --deny h9");
  done("disk hosts vm-1 --deny h1");
  EXPECT_EQ(done("disk hosts vm-1"), "h2\n");
  fails("disk hosts vm-1 --allow h1 --deny h1", 2, "host h1 is both allowed and denied");
}

TEST_F(DiskCommands, set_changes_and_removes_notes) {
  make_disk();
  done("disk set vm-1 --meta a=1 --meta b=2");
  done("disk set vm-1 --meta a=");
  const auto meta = disk("vm-1").record.meta();
  EXPECT_EQ(meta.size(), 1U);
  EXPECT_EQ(meta.at("b"), "2");
}

TEST_F(DiskCommands, a_change_is_asked_of_the_host_that_holds_the_disk) {
  make_disk();
  add_host("h1");
  hold("vm-1", "h1");
  std::string asked;
  calls_.on_change = [&](const std::string& host, const pb::ChangeDiskRequest& request) {
    asked = host + " " + std::to_string(request.resize());
    pb::ChangeDiskReply reply;
    *reply.mutable_record() = disk("vm-1").record;
    return Result<pb::ChangeDiskReply>(reply);
  };
  done("disk resize vm-1 2G");
  EXPECT_EQ(asked, "h1 2147483648");
}

TEST_F(DiskCommands, a_change_gives_its_own_lease_back) {
  make_disk();
  done("disk set vm-1 --meta a=1");
  auto lease = sync_wait(catalog_->lease_of(*DiskId::parse(disk("vm-1").record.id())));
  ASSERT_TRUE(lease.ok());
  EXPECT_FALSE(lease->has_value());
  EXPECT_EQ(disk("vm-1").record.last_holder(), "ukaictl@test:1");
}

}  // namespace
}  // namespace ukai::ctl
