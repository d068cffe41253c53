// SPDX-License-Identifier: BSD-2-Clause
#include "ukai/history.h"

#include <gtest/gtest.h>

namespace ukai {
namespace {

std::vector<Generation> all(std::initializer_list<std::uint64_t> numbers) {
  std::vector<Generation> out;
  for (const std::uint64_t number : numbers) out.push_back(Generation{number});
  return out;
}

History history(std::uint64_t head,
                std::initializer_list<std::pair<std::uint64_t, std::uint64_t>> branches = {}) {
  pb::History message;
  message.set_head(head);
  for (const auto& [first, parent] : branches) {
    pb::Branch* branch = message.add_branches();
    branch->set_first(first);
    branch->set_parent(parent);
  }
  auto out = History::from(message);
  EXPECT_TRUE(out.ok()) << out.error().what;
  return *out;
}

TEST(History, sees_the_newest_version_that_is_not_younger) {
  const History line = history(5);
  EXPECT_EQ(line.seen(all({1, 3}), Generation{5}), Generation{3});
  EXPECT_EQ(line.seen(all({1, 3}), Generation{3}), Generation{3});
  EXPECT_EQ(line.seen(all({1, 3}), Generation{2}), Generation{1});
  EXPECT_EQ(line.seen(all({3}), Generation{2}), std::nullopt);
  EXPECT_EQ(line.seen({}, Generation{5}), std::nullopt);
}

TEST(History, does_not_see_what_a_rollback_has_left_behind) {
  // 1 - 2 - 3 (lost), and 4 - 5 from 1; then 6 from 4.
  const History rolled = history(6, {{4, 1}, {6, 4}});
  EXPECT_EQ(rolled.seen(all({1, 2, 3}), Generation{5}), Generation{1});
  EXPECT_EQ(rolled.seen(all({2, 3}), Generation{5}), std::nullopt);
  EXPECT_EQ(rolled.seen(all({1, 3, 4, 5}), Generation{6}), Generation{4});
  EXPECT_EQ(rolled.seen(all({1, 2}), Generation{3}), Generation{2});
}

TEST(History, calls_unseen_what_nobody_kept_sees) {
  const History line = history(5);
  EXPECT_EQ(line.unseen(all({1, 2, 4, 5}), all({2, 5})), all({1, 4}));
  EXPECT_EQ(line.unseen(all({1, 2}), all({5})), all({1}));
  EXPECT_EQ(line.unseen(all({1, 2}), all({1, 5})), all({}));
  EXPECT_EQ(line.unseen(all({1, 7}), all({5})), all({})) << "7 is later than this history";
}

TEST(History, refuses_what_cannot_be) {
  pb::History message;
  EXPECT_FALSE(History::from(message).ok()) << "no head";
  message.set_head(3);
  pb::Branch* branch = message.add_branches();
  branch->set_first(3);
  branch->set_parent(3);
  EXPECT_FALSE(History::from(message).ok()) << "its own parent";
  branch->set_parent(0);
  EXPECT_FALSE(History::from(message).ok());
  branch->set_parent(1);
  EXPECT_TRUE(History::from(message).ok());
  *message.add_branches() = *branch;
  EXPECT_FALSE(History::from(message).ok()) << "out of order";
}

TEST(SnapshotName, has_two_parts) {
  auto name = parse_snapshot_name("vm1@monday");
  ASSERT_TRUE(name.ok());
  EXPECT_EQ(name->disk.str(), "vm1");
  EXPECT_EQ(name->snapshot, "monday");
  EXPECT_EQ(parse_snapshot_name("vm1")->snapshot, "");
  EXPECT_FALSE(parse_snapshot_name("vm1@").ok());
  EXPECT_FALSE(parse_snapshot_name("@monday").ok());
  EXPECT_FALSE(parse_snapshot_name("vm1@a@b").ok());
}

}  // namespace
}  // namespace ukai
