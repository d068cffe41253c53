// SPDX-License-Identifier: BSD-2-Clause
#include "disk/proximity.h"

#include <gtest/gtest.h>

#include "fake_link.h"

namespace ukai {
namespace {

using namespace std::chrono_literals;

NodeDirectory::Entry node_at(const std::string& site, Duration latency) {
  auto link = std::make_shared<test::FakeLink>();
  link->condition_now.latency = latency;
  NodeDirectory::Entry entry;
  entry.link = link;
  entry.site = site;
  return entry;
}

int rank(const std::string& site, Duration latency) {
  return rank_of(node_at(site, latency), "jp/tokyo/dc1");
}

TEST(Rank, prefers_the_same_site_to_any_latency) {
  EXPECT_LT(rank("jp/tokyo/dc1", 5s), rank("jp/tokyo/dc2", 1us));
  EXPECT_LT(rank("jp/tokyo/dc2", 1h), rank("jp/osaka", 0us));
  EXPECT_LT(rank("jp/osaka", 24h), rank("us/east", 0us));
}

TEST(Rank, decides_by_latency_within_a_site) {
  EXPECT_LT(rank("jp/tokyo/dc1", 100us), rank("jp/tokyo/dc1", 101us));
  EXPECT_LT(rank("us", 100us), rank("us", 101us));
}

TEST(Rank, puts_the_node_in_this_process_first) {
  NodeDirectory::Entry here = node_at("us", 10s);
  here.local = true;
  EXPECT_LT(rank_of(here, "jp/tokyo/dc1"), rank("jp/tokyo/dc1", 0us));
}

TEST(Rank, takes_a_node_without_a_link_and_sites_of_many_components) {
  NodeDirectory::Entry unlinked;
  unlinked.site = "jp/tokyo/dc1";
  EXPECT_GT(rank_of(unlinked, "jp/tokyo/dc1"), 0);
  const std::string deep = "a/b/c/d/e/f/g/h/i/j/k/l";
  EXPECT_GT(rank_of(node_at(deep, 0us), deep), 0);
  EXPECT_LT(rank_of(node_at(deep, 24h), deep), rank_of(node_at("a", 0us), deep));
}

}  // namespace
}  // namespace ukai
