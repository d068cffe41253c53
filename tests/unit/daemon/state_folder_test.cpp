// SPDX-License-Identifier: BSD-2-Clause
#include "daemon/state_folder.h"

#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>

#include "harness/temp_folder.h"

namespace ukai {
namespace {

class StateFolders : public ::testing::Test {
 protected:
  const test::TempFolder place_;
  const std::string folder_ = place_.path();
};

TEST_F(StateFolders, is_made_with_what_leads_to_it) {
  auto state = StateFolder::open(folder_ + "/a/b");
  ASSERT_TRUE(state.ok()) << state.error().what;
  EXPECT_EQ(state->last_incarnation(), 0U);
}

TEST_F(StateFolders, remembers_the_last_incarnation) {
  {
    auto state = StateFolder::open(folder_);
    ASSERT_TRUE(state.ok());
    ASSERT_TRUE(state->remember(0xfedcba9876543210).ok());
  }
  auto state = StateFolder::open(folder_);
  ASSERT_TRUE(state.ok());
  EXPECT_EQ(state->last_incarnation(), 0xfedcba9876543210);
}

TEST_F(StateFolders, lets_one_process_in) {
  auto first = StateFolder::open(folder_);
  ASSERT_TRUE(first.ok());
  const auto second = StateFolder::open(folder_);
  ASSERT_TRUE(second.failed_with(Code::busy));
  EXPECT_EQ(second.error().what, "state folder " + folder_ +
                                     " is in use by another ukaid (process " +
                                     std::to_string(::getpid()) + ")");
}

TEST_F(StateFolders, does_not_believe_a_damaged_record) {
  std::ofstream(folder_ + "/incarnation") << "x";
  auto state = StateFolder::open(folder_);
  ASSERT_TRUE(state.ok());
  EXPECT_EQ(state->last_incarnation(), 0U);
}

TEST_F(StateFolders, says_why_it_cannot_be_used) {
  std::ofstream(folder_ + "/file") << "x";
  const auto state = StateFolder::open(folder_ + "/file");
  ASSERT_TRUE(state.failed_with(Code::invalid));
  EXPECT_EQ(state.error().what, "state folder " + folder_ + "/file: Not a directory");
}

}  // namespace
}  // namespace ukai
