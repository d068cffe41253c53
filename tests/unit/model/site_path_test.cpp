// SPDX-License-Identifier: BSD-2-Clause
#include "ukai/site_path.h"

#include <gmock/gmock.h>

#include <set>

namespace ukai {
namespace {

using testing::ElementsAre;

TEST(SiteDepth, counts_leading_components_that_are_the_same) {
  EXPECT_EQ(common_site_depth("jp/tokyo/dc1", "jp/tokyo/dc1"), 3);
  EXPECT_EQ(common_site_depth("jp/tokyo/dc1", "jp/tokyo/dc2"), 2);
  EXPECT_EQ(common_site_depth("jp/tokyo", "jp/tokyo/dc2"), 2);
  EXPECT_EQ(common_site_depth("jp/osaka/dc1", "jp/tokyo/dc1"), 1);
  EXPECT_EQ(common_site_depth("us", "jp"), 0);
  EXPECT_EQ(common_site_depth("", "jp"), 0);
  EXPECT_EQ(common_site_depth("", ""), 0);
}

TEST(SiteDepth, compares_whole_components_and_not_letters) {
  EXPECT_EQ(common_site_depth("jp/tokyo/dc1", "jp/tokyo/dc10"), 2);
  EXPECT_EQ(common_site_depth("jp", "jpn"), 0);
  EXPECT_EQ(common_site_depth("jp/", "jp"), 1);
}

TEST(SiteArea, has_what_lies_in_it_and_itself) {
  EXPECT_TRUE(lies_in("jp/tokyo", "jp/tokyo"));
  EXPECT_TRUE(lies_in("jp/tokyo/dc1", "jp"));
  EXPECT_FALSE(lies_in("jp/tokyo2", "jp/tokyo"));
  EXPECT_FALSE(lies_in("jp", "jp/tokyo"));
  EXPECT_FALSE(lies_in("", "jp"));
}

TEST(SiteOrder, keeps_what_lies_in_a_site_together) {
  const std::set<std::string, SiteOrder> sites{"jp-west", "jp/tokyo", "jp", "jp/osaka", ""};
  EXPECT_THAT(sites, ElementsAre("", "jp", "jp/osaka", "jp/tokyo", "jp-west"));
}

}  // namespace
}  // namespace ukai
