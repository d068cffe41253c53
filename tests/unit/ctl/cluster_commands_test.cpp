// SPDX-License-Identifier: BSD-2-Clause
#include <gmock/gmock.h>

#include "unit/ctl/ctl_fixture.h"

namespace ukai::ctl {
namespace {

using ::testing::HasSubstr;
using ::testing::Not;

class ClusterCommands : public CtlTest {
 protected:
  ClusterCommands() {
    add_node("n1");
    add_node("n2");
    add_host("h1");
    calls_.on_host_status = [](const std::string& host) {
      pb::HostStatusReply reply;
      reply.set_host_id(host);
      reply.set_version("0.1.0");
      reply.set_metadata_state("connected");
      pb::NodeLinkStatus* link = reply.add_nodes();
      link->set_node("n1");
      link->set_connected(true);
      link->set_latency_us(120);
      pb::ErrorEntry* entry = reply.add_errors();
      entry->set_unix_s(1'763'838'000);
      entry->set_node("n2");
      entry->set_disk("vm-1");
      entry->set_what("deadline");
      return Result<pb::HostStatusReply>(reply);
    };
  }
};

TEST_F(ClusterCommands, nodes_are_listed_with_their_state) {
  add_down_node("n3");
  const std::string list = done("node list");
  EXPECT_THAT(list, HasSubstr("NODE  STATE  SITE          LABELS  ADDRESS           FREE    USED  "
                              "CAPACITY\n"));
  EXPECT_THAT(list, HasSubstr("n1    up     jp/tokyo/dc1  -       127.0.0.1:7000  60 GiB  40 GiB  "
                              " 100 GiB\n"));
  EXPECT_THAT(list, HasSubstr("n3    down "));
}

TEST_F(ClusterCommands, a_node_is_shown_with_its_disks) {
  done("disk create vm-1 --size 8M --location n1,n2");
  lose_members("vm-1", {"n2"});
  EXPECT_THAT(done("node info n1"), HasSubstr("disks            1\n                 vm-1\n"));
  EXPECT_THAT(done("node info n2"), HasSubstr("vm-1 (missing)\n"));
  EXPECT_THAT(done("node info n1"), Not(HasSubstr("met damage"))) << "it does not answer";
  calls_.on_node_health = [](const std::string&) {
    pb::HealthReply health;
    health.set_damage_met(7);
    return health;
  };
  EXPECT_THAT(done("node info n1"), HasSubstr("requests that met damage  7\n"));
  fails("node info n9", 3, "there is no node named 'n9'");
}

TEST_F(ClusterCommands, hosts_are_listed) {
  const std::string list = done("host list");
  EXPECT_THAT(list, HasSubstr("h1    -     /mnt/h1  127.0.0.1:8001   -     -\n"));
}

TEST_F(ClusterCommands, status_is_healthy_when_all_is_well) {
  done("disk create vm-1 --size 8M --location n1,n2");
  EXPECT_EQ(done("status"),
            "metadata  ok (zk:2181)\n"
            "nodes     2 up\n"
            "hosts     1 up\n"
            "disks     1 healthy\n"
            "healthy   yes\n");
}

TEST_F(ClusterCommands, status_is_never_healthy_with_a_node_down_or_a_member_missing) {
  done("disk create vm-1 --size 8M --location n1,n2");
  lose_members("vm-1", {"n2"});
  EXPECT_THAT(done("status"),
              HasSubstr("disks     0 healthy, 1 degraded\n"
                        "          vm-1 is degraded: node n2 is missing (deadline)\n"
                        "healthy   no\n"));
  done("disk delete vm-1");
  add_down_node("n3");
  EXPECT_THAT(done("status"), HasSubstr("nodes     2 up, 1 down (n3)\n"));
  EXPECT_THAT(done("status"), HasSubstr("healthy   no\n"));
}

TEST_F(ClusterCommands, status_shows_hosts_that_do_not_answer) {
  calls_.on_host_status = nullptr;
  EXPECT_THAT(done("status"), HasSubstr("hosts     0 up, 1 silent (h1)\n"));
  EXPECT_THAT(done("errors"), HasSubstr("now   h1    -     -     connection refused\n"));
}

TEST_F(ClusterCommands, errors_come_from_all_hosts) {
  EXPECT_EQ(done("errors"),
            "TIME                  HOST  NODE  DISK  ERROR\n"
            "2025-11-22T19:00:00Z  h1    n2    vm-1  deadline\n");
  EXPECT_EQ(done("get_error_state"), done("errors"));
  calls_.on_host_status = [](const std::string&) {
    return Result<pb::HostStatusReply>(pb::HostStatusReply());
  };
  EXPECT_EQ(done("errors"), "no errors\n");
}

TEST_F(ClusterCommands, diag_has_everything) {
  done("disk create vm-1 --size 8M --location n1,n2");
  const std::string text = done("diag");
  for (const char* part : {"== ukaictl", "ukaictl@test:1", "zk:2181", "== status", "== nodes",
                           "== hosts and their links", "120", "== disks", "vm-1", "== errors"}) {
    EXPECT_THAT(text, HasSubstr(part));
  }
}

TEST_F(ClusterCommands, version_needs_no_cluster) {
  variables_.clear();
  EXPECT_THAT(done("version"), HasSubstr("ukaictl "));
}

// -- leases

TEST_F(ClusterCommands, a_lease_is_shown) {
  done("disk create vm-1 --size 8M --location n1,n2");
  EXPECT_EQ(done("lease show vm-1"), "nobody holds the lease of disk vm-1\n");
  hold("vm-1", "h1");
  EXPECT_THAT(done("lease show vm-1"), HasSubstr("holder  h1\ntype    guest\nepoch   1\n"));
}

TEST_F(ClusterCommands, the_lease_of_a_host_that_is_gone_is_released) {
  done("disk create vm-1 --size 8M --location n1,n2");
  EXPECT_EQ(done("lease release vm-1"), "");
  hold("vm-1", "h7");
  EXPECT_THAT(done("lease show vm-1"), HasSubstr("holder  h7 (no running host)\n"));
  EXPECT_EQ(done("lease release vm-1"),
            "disk vm-1: the lease of h7 (epoch 1) is taken away; the next host that opens the disk "
            "for writing gets it\n");
  EXPECT_EQ(done("lease show vm-1"), "nobody holds the lease of disk vm-1\n");
}

TEST_F(ClusterCommands, the_lease_of_a_running_host_needs_force) {
  done("disk create vm-1 --size 8M --location n1,n2");
  hold("vm-1", "h1");
  fails("lease release vm-1", 8,
        "disk vm-1: its lease is held by host h1, which is running; --force takes it away and may "
        "cost a guest its disk");
  EXPECT_EQ(done("lease release vm-1 --force"),
            "disk vm-1: the lease of h1 (epoch 1) is taken away; h1 is running and may take it "
            "again. Once another host has, all that h1 still writes is refused, and its guest gets "
            "I/O errors\n");
  EXPECT_EQ(done("lease show vm-1"), "nobody holds the lease of disk vm-1\n");
}

}  // namespace
}  // namespace ukai::ctl
