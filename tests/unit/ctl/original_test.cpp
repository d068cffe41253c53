// SPDX-License-Identifier: BSD-2-Clause
//
// The original's ukai_admin: its subcommands, flags and texts.
#include <gmock/gmock.h>

#include <fstream>

#include "harness/temp_folder.h"
#include "unit/ctl/ctl_fixture.h"

namespace ukai::ctl {
namespace {

using ::testing::HasSubstr;

class Original : public CtlTest {
 protected:
  Original() {
    add_node("n1");
    add_node("n2");
    add_node("n3");
  }
};

TEST_F(Original, create_image_takes_its_flags) {
  EXPECT_EQ(done("create_image -s 8388608 -b 1048576 -l n1 la"), "");
  const pb::DiskRecord record = disk("la").record;
  EXPECT_EQ(record.size(), 8U << 20);
  EXPECT_EQ(record.block_size(), 1U << 20);
  EXPECT_EQ(record.members(0).node(), "n1");
  EXPECT_EQ(done("touch -s 8M -l n2 -h h1 lb"), "");
  EXPECT_EQ(disk("lb").record.block_size(), 4U << 20);
  EXPECT_EQ(disk("lb").record.allowed_hosts(0), "h1");
  fails("touch -s 8M -l n2 lb", 4, "a disk named 'lb' exists already");
}

TEST_F(Original, create_image_may_have_one_block_unlike_the_original) {
  done("create_image -s 4M -l n1 la");
  EXPECT_THAT(done("stat la"), HasSubstr("00000000 : 0:Y\n"));
}

TEST_F(Original, create_image_finds_its_defaults_in_the_config) {
  fails("create_image -s 8M la", 2,
        "no location is given: use -l LOCATION, or [create] location in --config FILE");
  const test::TempFolder folder;
  const std::string path = folder.path() / "ukaictl.toml";
  std::ofstream(path) << "[create]\nlocation = \"n3\"\nblock_size = \"64KiB\"\n";
  done("--config " + path + " create_image -s 8M la");
  EXPECT_EQ(disk("la").record.members(0).node(), "n3");
  EXPECT_EQ(disk("la").record.block_size(), 64U << 10);
}

TEST_F(Original, get_image_names_prints_one_a_line) {
  done("touch -s 8M -l n1 lb");
  done("touch -s 8M -l n1 la");
  EXPECT_EQ(done("get_image_names"), "la\nlb\n");
  EXPECT_EQ(done("ls"), "la\nlb\n");
}

TEST_F(Original, get_image_info_prints_the_originals_text) {
  done("disk create la --size 12M --location n1,n2,n3 --stripe --replicas 2");
  lose_members("la", {"n2"});
  calls_.on_dirty_list = [](const std::string&, const pb::DirtyListRequest&) {
    pb::DirtyListReply reply;
    reply.add_blocks()->set_end(1);
    return Result<pb::DirtyListReply>(reply);
  };
  const std::string text =
      "#\n"
      "# Disk Metadata\n"
      "#\n"
      "name=la\n"
      "size=12582912\n"
      "block_size=4194304\n"
      "#\n"
      "# Location Index\n"
      "#\n"
      "0=n1\n"
      "1=n2\n"
      "2=n3\n"
      "#\n"
      "# Block Information\n"
      "#\n"
      "# block_index: location_index:sync_status\n"
      "#   sync_status: 'Y' = In-sync, 'N' = Out-of-sync\n"
      "#\n"
      "00000000 : 0:Y 1:N    \n"
      "00000001 :     1:Y 2:Y\n"
      "00000002 : 0:Y     2:Y\n";
  EXPECT_EQ(done("get_image_info la"), text);
  EXPECT_EQ(done("stat la"), text);
}

TEST_F(Original, get_metadata_prints_the_originals_document) {
  done("disk create la --size 8M --location n1,n2");
  EXPECT_EQ(done("get_metadata la"),
            R"({"name": "la", "size": 8388608, "used_size": 8388608, "block_size": 4194304, )"
            R"("blocks": [{"n1": {"sync_status": 0}, "n2": {"sync_status": 0}}, )"
            R"({"n1": {"sync_status": 0}, "n2": {"sync_status": 0}}]})"
            "\n");
}

TEST_F(Original, destroy_image_deletes) {
  done("touch -s 8M -l n1 la");
  EXPECT_EQ(done("destroy_image la"), "");
  fails("rm la", 3, "there is no disk named 'la'");
}

TEST_F(Original, locations_come_and_go) {
  add_node("n3");
  done("disk create la --size 40M --location n1,n2");
  EXPECT_EQ(done("add_location la n3 2 5"), "");
  EXPECT_EQ(done("add_location la n3 8"), "");
  EXPECT_THAT(done("disk map la"), testing::HasSubstr("n3"));
  EXPECT_EQ(done("remove_location la n3"), "");
  EXPECT_THAT(done("disk map la"), testing::Not(testing::HasSubstr("n3")));
  fails("add_location lb n3", 3, "there is no disk named 'lb'");
  fails("add_location la n9", 3, "there is no node named 'n9'");
  fails("add_location la n3 2 50", 2, "blocks 2-50: the disk's last block is 9");
}

TEST_F(Original, synchronize_checks_ranges_with_the_originals_words) {
  done("disk create la --size 40M --location n1,n2");
  add_host("h1");
  run_jobs([](pb::JobRecord& job) { job.set_state(pb::JobRecord::DONE); });
  for (const char* args : {"la", "-s 0 -e 9 la", "-s 9 la", "-e -1 la", "-v la"}) {
    done(std::string("synchronize ") + args);
  }
  EXPECT_EQ(jobs("la").size(), 5U);
  const std::string range = "Block index out of range (must be 0 to 9)";
  for (const char* args : {"-s 10 la", "-s -1 la", "-e 10 la", "-s 0 -e -2 la"}) {
    fails(std::string("synchronize ") + args, 2, range);
  }
  fails("synchronize -s 5 -e 4 la", 2, "END_BLOCK must be greater or equal to START_BLOCK");
  fails("synchronize lb", 3, "there is no disk named 'lb'");
}

TEST_F(Original, hypervisors_are_the_hosts_that_may_write) {
  done("touch -s 8M -l n1 la");
  EXPECT_EQ(done("add_hypervisor la h1"), "");
  EXPECT_EQ(done("add_hypervisor la h1"), "");
  EXPECT_EQ(done("disk hosts la"), "h1\n");
  EXPECT_EQ(done("remove_hypervisor la h1"), "");
  EXPECT_EQ(done("remove_hypervisor la h1"), "");
  EXPECT_EQ(done("disk hosts la"), "any host\n");
}

}  // namespace
}  // namespace ukai::ctl
