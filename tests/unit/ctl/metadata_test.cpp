// SPDX-License-Identifier: BSD-2-Clause
#include <gmock/gmock.h>

#include <filesystem>
#include <fstream>

#include "ctl/base64.h"
#include "ctl/dump.h"
#include "unit/ctl/ctl_fixture.h"

namespace ukai::ctl {
namespace {

using ::testing::HasSubstr;

class Metadata : public CtlTest {
 protected:
  Metadata() : file_(::testing::TempDir() + "ukai-dump-" + std::to_string(getpid())) {
    add_node("n1");
    add_down_node("n2");
  }
  ~Metadata() override { std::filesystem::remove(file_); }
  std::string content() {
    std::ifstream in(file_);
    return {std::istreambuf_iterator<char>(in), std::istreambuf_iterator<char>()};
  }
  void write(const std::string& text) { std::ofstream(file_) << text; }

  const std::string file_;
};

/// A cluster in which no daemon has ever run.
class EmptyMetadata : public CtlTest {
 protected:
  EmptyMetadata() : CtlTest(false) {}
};

TEST_F(Metadata, dump_holds_all_that_lasts_and_nothing_else) {
  add_host("h1");
  done("disk create vm-1 --size 8M --location n1 --meta os=debian");
  hold("vm-1", "h1");
  done("metadata dump " + file_);
  const std::string text = content();
  EXPECT_THAT(text, HasSubstr("\"/ukai/names/vm-1\""));
  EXPECT_THAT(text, HasSubstr("/map/00000000\""));
  EXPECT_THAT(text, HasSubstr("\"os\": \"debian\""));
  EXPECT_THAT(text, ::testing::Not(HasSubstr("alive")));
  EXPECT_THAT(text, ::testing::Not(HasSubstr("/lease")));
  EXPECT_THAT(text, ::testing::Not(HasSubstr("/hosts/h1")));
  EXPECT_EQ(done("metadata dump"), text);
}

TEST_F(Metadata, loaded_elsewhere_is_the_same_but_for_larger_epochs_and_trusts_nobody) {
  done("disk create vm-1 --size 8M --location n1,n2 --stripe --force");
  done("metadata dump " + file_);
  const std::string before = done("disk map vm-1");
  const pb::DiskRecord was = disk("vm-1").record;

  // Everything is lost.
  ASSERT_TRUE(clear_tree().ok());
  EXPECT_EQ(done("metadata load " + file_), "1 disk and 2 nodes are loaded\n");
  EXPECT_EQ(done("disk map vm-1"), before);
  pb::DiskRecord is = disk("vm-1").record;
  EXPECT_EQ(is.epoch(), was.epoch() + 1'000'000'000);
  is.set_epoch(was.epoch());
  EXPECT_TRUE(is.unproven());
  is.clear_unproven();
  EXPECT_EQ(is.guest_epoch(), disk("vm-1").record.epoch()) << "handles from before are dead";
  is.set_guest_epoch(was.guest_epoch());
  EXPECT_THAT(done("disk info vm-1"), HasSubstr("its metadata were loaded"));
  EXPECT_EQ(is.SerializeAsString(), was.SerializeAsString());
  EXPECT_THAT(done("events"), HasSubstr("metadata loaded"));
  EXPECT_THAT(done("events"), HasSubstr("disk created"));
  done("disk rename vm-1 vm-2");
}

TEST_F(Metadata, are_not_loaded_over_others) {
  done("disk create vm-1 --size 8M --location n1");
  done("metadata dump " + file_);
  const auto before = tree_.paths();
  EXPECT_EQ(run("metadata load " + file_).status, 8);
  EXPECT_EQ(tree_.paths(), before);
}

TEST_F(Metadata, that_are_no_dump_are_refused) {
  write("{}");
  fails("metadata load " + file_, 2, "this is no dump of ukaictl metadata dump");
  write("");
  EXPECT_EQ(run("metadata load " + file_).status, 2);
  EXPECT_EQ(run("metadata load /nowhere/at/all").status, 3);
  EXPECT_EQ(run("metadata dump /nowhere/at/all").status, 1);
  write(R"({"schema": 2, "kind": "metadata_dump", "records": []})");
  fails("metadata load " + file_, 2, "the dump has schema 2; this ukaictl reads schema 1");
  write(R"({"schema": 1, "kind": "metadata_dump", "records": [{"path": "/etc"}]})");
  fails("metadata load " + file_, 2, "the dump's record /etc: is not below /ukai");
  write(R"({"schema": 1, "kind": "metadata_dump", "records": [)"
        R"({"path": "/ukai/names/a", "kind": "name", "record": {"disk_id": 7}}]})");
  EXPECT_EQ(run("metadata load " + file_).status, 2);
  write(R"({"schema": 1, "kind": "metadata_dump", "records": [{"path": "/ukai"}]})");
  EXPECT_EQ(run("metadata load " + file_).status, 1);
}

TEST_F(Metadata, of_a_later_version_are_left_alone) {
  std::vector<Op> ops{Op::set("/ukai/cluster", "UKR2C", any_version)};
  ASSERT_TRUE(sync_wait(daemons_->commit(std::move(ops))).ok());
  for (const char* command : {"disk list", "status", "disk create a --size 8M --location n1"}) {
    fails(command, 8,
          "metadata record /ukai/cluster: has the envelope UKR2 of a newer UKAI; this one reads "
          "UKR1");
  }
}

TEST_F(Metadata, with_a_disk_that_lacks_its_map_are_refused) {
  done("disk create vm-1 --size 8M --location n1");
  done("metadata dump " + file_);
  std::string text = content();
  text.replace(text.find("map/00000000"), 12, "map/00000001");
  write(text);
  ASSERT_TRUE(clear_tree().ok());
  const auto before = tree_.paths();
  const Outcome outcome = run("metadata load " + file_);
  EXPECT_EQ(outcome.status, 1);
  EXPECT_THAT(outcome.err, HasSubstr("the dump lacks /ukai/disks/"));
  EXPECT_EQ(tree_.paths(), before);
}

TEST_F(EmptyMetadata, cannot_be_dumped) { EXPECT_EQ(run("metadata dump").status, 3); }

TEST(Dump, keeps_what_it_does_not_understand_byte_for_byte) {
  Dump dump;
  dump.records = {{"/ukai", ""},
                  {"/ukai/x", std::string("UKR9?\0\xff", 7)},
                  {"/ukai/y", "UKR1I\xff"},
                  {"/ukai/z", std::string("UKR1I\x0a\x01"
                                          "a\xfa\x01\x01"
                                          "b",
                                          12)}};
  auto back = parse_dump(dump_text(dump));
  ASSERT_TRUE(back.ok()) << back.error().what;
  ASSERT_EQ(back->records.size(), dump.records.size());
  for (std::size_t i = 0; i < dump.records.size(); ++i) {
    EXPECT_EQ(back->records[i].data, dump.records[i].data) << dump.records[i].path;
  }
}

TEST(Base64, is_what_everybody_calls_so) {
  EXPECT_EQ(to_base64(""), "");
  EXPECT_EQ(to_base64("f"), "Zg==");
  EXPECT_EQ(to_base64("fo"), "Zm8=");
  EXPECT_EQ(to_base64("foobar"), "Zm9vYmFy");
  for (const char* text : {"", "f", "fo", "foo", "foob", "\xff\xfe\xfd"}) {
    EXPECT_EQ(from_base64(to_base64(text)), text);
  }
  for (const char* text : {"Z", "Zg=", "Zg==Zg==", "Zh==", "Z!==", "Zg==="}) {
    EXPECT_FALSE(from_base64(text)) << text;
  }
}

}  // namespace
}  // namespace ukai::ctl
