// SPDX-License-Identifier: BSD-2-Clause
#include <gmock/gmock.h>

#include "ukai/limits.h"
#include "unit/ctl/ctl_fixture.h"

namespace ukai::ctl {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;

class Events : public CtlTest {
 protected:
  Events() {
    add_node("n1");
    add_node("n2");
  }
  std::vector<EventEntry> all() {
    auto events = sync_wait(catalog_->events(limits::events_max));
    EXPECT_TRUE(events.ok());
    return events ? *events : std::vector<EventEntry>();
  }
  std::vector<std::string> kinds() {
    std::vector<std::string> out;
    for (const EventEntry& event : all()) out.push_back(event.record.what());
    return out;
  }
};

TEST_F(Events, tell_who_did_what_to_a_disk_newest_first) {
  done("disk create vm-1 --size 8M --location n1,n2");
  done("disk resize vm-1 16M");
  done("disk rename vm-1 vm-2");
  done("disk hosts vm-2 --allow h1");
  done("disk delete vm-2");
  EXPECT_THAT(kinds(), ElementsAre("disk_deleted", "hosts_changed", "disk_renamed", "disk_resized",
                                   "disk_created"));
  const std::string shown = done("events");
  EXPECT_THAT(shown, HasSubstr("alice@test  disk created   vm-1  -     8 MiB on n1, n2\n"));
  EXPECT_THAT(shown, HasSubstr("alice@test  disk resized   vm-1  -     from 8 MiB to 16 MiB\n"));
  EXPECT_THAT(shown, HasSubstr("alice@test  disk renamed   vm-2  -     before: vm-1\n"));
  EXPECT_THAT(shown, HasSubstr("alice@test  hosts changed  vm-2  -     from any host to h1\n"));
}

TEST_F(Events, of_what_changed_nothing_are_not_written) {
  done("disk create vm-1 --size 8M --location n1");
  done("disk hosts vm-1 --deny h9");
  done("disk set vm-1 --meta os=debian");
  run("disk create vm-1 --size 8M --location n1");
  run("disk resize vm-1 4M");
  EXPECT_THAT(kinds(), ElementsAre("disk_created"));
}

TEST_F(Events, follow_a_disk_through_its_names) {
  done("disk create vm-1 --size 8M --location n1");
  done("disk create other --size 8M --location n1");
  done("disk rename vm-1 vm-2");
  EXPECT_THAT(done("events --disk vm-2"), HasSubstr("disk created"));
  EXPECT_THAT(done("events --disk vm-2"), ::testing::Not(HasSubstr("other")));
  EXPECT_THAT(done("events --disk vm-1"), HasSubstr("disk created"));  // its former name
  fails("events --disk nobody", 3, "there is no disk named 'nobody'");
}

TEST_F(Events, of_members_say_why) {
  done("disk create vm-1 --size 8M --location n1,n2");
  catalog_->set_author("h1");
  lose_members("vm-1", {"n2"});
  EXPECT_THAT(kinds(), ElementsAre("member_missing", "lease_taken", "disk_created"));
  EXPECT_THAT(done("events --limit 1"), HasSubstr("h1   member missing  vm-1  n2    deadline\n"));
}

TEST_F(Events, of_a_lease_that_is_forced_off_name_the_holder) {
  add_host("h1");
  done("disk create vm-1 --size 8M --location n1");
  hold("vm-1", "h1");
  done("lease release vm-1 --force");
  EXPECT_THAT(done("events"), HasSubstr("lease forced  vm-1  -     of h1, epoch 1\n"));
}

TEST_F(Events, are_bounded) {
  done("disk create vm-1 --size 8M --location n1");
  catalog_->set_author("h1");
  for (std::size_t i = 0; i < limits::events_max + limits::events_trim_every; ++i) {
    pb::EventRecord event;
    event.set_what("test");
    ASSERT_TRUE(sync_wait(catalog_->add_event(event)).ok());
  }
  auto keys = sync_wait(daemons_->children("/ukai/events"));
  ASSERT_TRUE(keys.ok());
  EXPECT_LE(keys->size(), limits::events_max + limits::events_trim_every);
  EXPECT_EQ(all().size(), limits::events_max);
  EXPECT_EQ(all().back().record.what(), "test");  // the oldest one went
}

TEST_F(Events, do_not_hold_up_a_change_in_a_tree_of_an_older_version) {
  ASSERT_TRUE(sync_wait(daemons_->commit({Op::remove("/ukai/events")})).ok());
  EXPECT_EQ(done("events"), "TIME  WHO  WHAT  DISK  NODE  DETAILS\n");
  done("disk create vm-1 --size 8M --location n1");
  done("disk rename vm-1 vm-2");
  EXPECT_THAT(kinds(), ElementsAre("disk_renamed"));
}

TEST_F(Events, refuse_bad_input) {
  for (const char* limit : {"0", "-1", "1001", "x", "5x"}) {
    fails(std::string("events --limit=") + limit, 2,
          std::string("--limit '") + limit + "' is no number from 1 to 1000");
  }
  EXPECT_EQ(run("events --disk a/b").status, 2);
  EXPECT_THAT(all(), IsEmpty());
}

}  // namespace
}  // namespace ukai::ctl
