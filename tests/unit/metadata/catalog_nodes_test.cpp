// SPDX-License-Identifier: BSD-2-Clause
#include <gmock/gmock.h>

#include "catalog_fixture.h"
#include "metadata/records.h"

namespace ukai::test {
namespace {

using namespace std::chrono_literals;
using testing::HasSubstr;

using CatalogNodes = CatalogTest;

TEST_F(CatalogNodes, register_and_are_alive_as_long_as_their_session) {
  ASSERT_TRUE(run(a.catalog.register_node(node_record("n1"), node_alive(7))).ok());
  auto info = run(b.catalog.node(NodeId("n1")));
  ASSERT_TRUE(info.ok()) << info.error().what;
  EXPECT_EQ(info->record.store_id(), "store-of-n1");
  ASSERT_TRUE(info->alive.has_value());
  EXPECT_EQ(info->alive->incarnation(), 7U);
  a.coordination.expire_session();
  EXPECT_FALSE(run(b.catalog.node(NodeId("n1")))->alive.has_value());
  EXPECT_TRUE(run(b.catalog.node(NodeId("n9"))).failed_with(Code::not_found));
}

TEST_F(CatalogNodes, replace_the_mark_of_their_own_former_process) {
  ASSERT_TRUE(run(a.catalog.register_node(node_record("n1"), node_alive(1))).ok());
  auto again = run(b.catalog.register_node(node_record("n1"), node_alive(2)));
  ASSERT_TRUE(again.ok()) << again.error().what;
  a.coordination.expire_session();
  auto info = run(b.catalog.node(NodeId("n1")));
  ASSERT_TRUE(info->alive.has_value()) << "it belongs to the new session";
  EXPECT_EQ(info->alive->incarnation(), 2U);
}

TEST_F(CatalogNodes, refuse_another_data_folder_under_the_same_id) {
  ASSERT_TRUE(run(a.catalog.register_node(node_record("n1"), node_alive(1))).ok());
  pb::NodeRecord foreign = node_record("n1");
  foreign.set_store_id("another");
  auto done = run(b.catalog.register_node(foreign, node_alive(2)));
  ASSERT_TRUE(done.failed_with(Code::refused));
  EXPECT_THAT(done.error().what, HasSubstr("node \"n1\" is registered with another data folder"));
  EXPECT_EQ(run(b.catalog.node(NodeId("n1")))->alive->incarnation(), 1U);
}

TEST_F(CatalogNodes, keep_what_the_operator_said_of_them) {
  ASSERT_TRUE(run(a.catalog.register_node(node_record("n1"), node_alive(1))).ok());
  pb::NodeRecord draining = node_record("n1");
  draining.set_admin_state("draining");
  auto loaded = run(b.coordination.get("/ukai/nodes/n1"));
  std::string value = loaded->data;
  // Field 6, written by a later command.
  value += std::string("\x32\x08") + "draining";
  ASSERT_TRUE(run(b.coordination.commit({Op::set("/ukai/nodes/n1", value, any_version)})).ok());
  ASSERT_TRUE(run(a.catalog.register_node(node_record("n1"), node_alive(2))).ok());
  EXPECT_EQ(run(b.catalog.node(NodeId("n1")))->record.admin_state(), "draining");
}

TEST_F(CatalogNodes, refresh_only_a_mark_of_their_own) {
  ASSERT_TRUE(run(a.catalog.register_node(node_record("n1"), node_alive(1))).ok());
  pb::NodeAlive fuller = node_alive(1);
  fuller.set_used_bytes(42);
  ASSERT_TRUE(run(a.catalog.refresh_node_alive(NodeId("n1"), fuller)).ok());
  EXPECT_EQ(run(b.catalog.node(NodeId("n1")))->alive->used_bytes(), 42U);
  EXPECT_TRUE(run(b.catalog.refresh_node_alive(NodeId("n1"), fuller)).failed_with(Code::stale));
  a.coordination.expire_session();
  scheduler.run_ready();
  EXPECT_TRUE(run(a.catalog.refresh_node_alive(NodeId("n1"), fuller)).failed_with(Code::stale));
}

TEST_F(CatalogNodes, are_listed_in_order_and_a_damaged_record_spoils_its_line_only) {
  for (const char* id : {"n3", "n1", "n2"}) {
    ASSERT_TRUE(run(a.catalog.register_node(node_record(id), node_alive(1))).ok());
  }
  tree.corrupt("/ukai/nodes/n2", "garbage");
  auto nodes = run(b.catalog.nodes());
  ASSERT_TRUE(nodes.ok()) << nodes.error().what;
  ASSERT_EQ(nodes->size(), 3U);
  EXPECT_EQ((*nodes)[0].record.id(), "n1");
  EXPECT_TRUE((*nodes)[0].alive.has_value());
  EXPECT_EQ((*nodes)[1].record.id(), "n2");
  EXPECT_THAT((*nodes)[1].damage, HasSubstr("/ukai/nodes/n2"));
  EXPECT_EQ((*nodes)[2].damage, "");
}

TEST_F(CatalogNodes, are_refused_when_their_record_is_of_another) {
  ASSERT_TRUE(run(a.catalog.register_node(node_record("n1"), node_alive(1))).ok());
  tree.corrupt("/ukai/nodes/n1", encode_record(node_record("n2")));
  auto node = run(b.catalog.node(NodeId("n1")));
  ASSERT_TRUE(node.failed_with(Code::corrupt));
  EXPECT_EQ(node.error().what, "metadata record /ukai/nodes/n1: is of node \"n2\"");
  ASSERT_TRUE(run(a.catalog.register_host(host_record("h1", 1))).ok());
  tree.corrupt("/ukai/hosts/h1", encode_record(host_record("h2", 1)));
  EXPECT_TRUE(run(b.catalog.host(HostId("h1"))).failed_with(Code::corrupt));
}

// -- hosts

TEST_F(CatalogNodes, hosts_come_and_go_with_their_session) {
  ASSERT_TRUE(run(a.catalog.register_host(host_record("h1", 1))).ok());
  ASSERT_TRUE(run(b.catalog.register_host(host_record("h2", 2))).ok());
  auto hosts = run(b.catalog.hosts());
  ASSERT_TRUE(hosts.ok());
  ASSERT_EQ(hosts->size(), 2U);
  EXPECT_EQ((*hosts)[0].id(), "h1");
  a.coordination.expire_session();
  EXPECT_EQ(run(b.catalog.hosts())->size(), 1U);
  EXPECT_TRUE(run(b.catalog.host(HostId("h1"))).failed_with(Code::not_found));
}

TEST_F(CatalogNodes, a_host_registers_again_at_once_after_its_session_ended) {
  ASSERT_TRUE(run(a.catalog.register_host(host_record("h1", 1))).ok());
  ASSERT_TRUE(run(b.catalog.register_host(host_record("h1", 1))).ok()) << "the same incarnation";
  a.coordination.expire_session();
  EXPECT_TRUE(run(b.catalog.host(HostId("h1"))).ok());
}

TEST_F(CatalogNodes, a_second_host_of_the_same_id_is_refused_after_the_first_had_time_to_vanish) {
  ASSERT_TRUE(run(a.catalog.register_host(host_record("h1", 1))).ok());
  const TimePoint before = scheduler.now();
  auto second = run(b.catalog.register_host(host_record("h1", 2)));
  ASSERT_TRUE(second.failed_with(Code::busy));
  EXPECT_THAT(second.error().what, HasSubstr("another host \"h1\" is running at 127.0.0.1:1"));
  EXPECT_GE(scheduler.now() - before, 10s);
  EXPECT_EQ(run(b.catalog.host(HostId("h1")))->incarnation(), 1U);
}

TEST_F(CatalogNodes, a_restarted_host_waits_for_the_session_of_its_former_process) {
  ASSERT_TRUE(run(a.catalog.register_host(host_record("h1", 1))).ok());
  a.coordination.suspend();  // killed: its session times out
  const TimePoint before = scheduler.now();
  ASSERT_TRUE(run(b.catalog.register_host(host_record("h1", 2))).ok());
  EXPECT_LT(scheduler.now() - before, 11s);
  EXPECT_EQ(run(b.catalog.host(HostId("h1")))->incarnation(), 2U);
}

TEST_F(CatalogNodes, a_restarted_host_that_proves_itself_takes_over_at_once) {
  ASSERT_TRUE(run(a.catalog.register_host(host_record("h1", 1))).ok());
  const TimePoint before = scheduler.now();
  ASSERT_TRUE(run(b.catalog.register_host(host_record("h1", 2), true)).ok());
  EXPECT_EQ(scheduler.now(), before);
  EXPECT_EQ(run(b.catalog.host(HostId("h1")))->incarnation(), 2U);
}

}  // namespace
}  // namespace ukai::test
