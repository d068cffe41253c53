// SPDX-License-Identifier: BSD-2-Clause
#include "ctl/topology.h"

#include <gtest/gtest.h>

namespace ukai::ctl {
namespace {

NodeInfo node(const std::string& id, const std::string& site) {
  NodeInfo info;
  info.record.set_id(id);
  info.record.set_site(site);
  info.record.set_capacity_bytes(10ULL << 30);
  info.alive.emplace();
  info.alive->set_free_bytes(6ULL << 30);
  info.alive->set_used_bytes(1ULL << 30);
  return info;
}

TEST(Topology, is_a_tree_of_sites_whatever_letters_they_are_of) {
  NodeInfo away = node("n3", "jp-west");
  away.alive.reset();
  away.record.set_admin_state("draining");
  away.record.add_labels("ssd");
  HostAnswer host;
  host.record.set_id("h1");
  host.record.set_site("jp/tokyo");
  host.reply = pb::HostStatusReply();
  auto* link = host.reply->add_nodes();
  link->set_node("n1");
  link->set_connected(true);
  link->set_latency_us(214);
  EXPECT_EQ(topology_text({node("n1", "jp/tokyo"), node("n2", "jp"), away}, {host}),
            "jp\n"
            "  node n2  up  1 GiB used, 6 GiB free of 10 GiB\n"
            "  tokyo\n"
            "    node n1  up  1 GiB used, 6 GiB free of 10 GiB\n"
            "    host h1\n"
            "jp-west\n"
            "  node n3  down, draining  ssd\n"
            "\n"
            "LATENCY       n1  n2  n3\n"
            "h1       0.21 ms   -   -\n");
}

TEST(Topology, of_nothing_says_so) {
  EXPECT_EQ(topology_text({}, {}), "there are neither nodes nor hosts\n");
}

TEST(Topology, puts_what_has_no_site_below_a_heading_of_its_own) {
  HostAnswer silent;
  silent.record.set_id("h1");
  EXPECT_EQ(topology_text({}, {silent}), "(no site)\n  host h1  does not answer\n");
}

}  // namespace
}  // namespace ukai::ctl
