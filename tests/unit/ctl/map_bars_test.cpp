// SPDX-License-Identifier: BSD-2-Clause
#include "ctl/map_bars.h"

#include <gtest/gtest.h>

namespace ukai::ctl {
namespace {

MapRow row(std::uint64_t begin, std::uint64_t end, std::vector<Replicas> cycle) {
  return {{BlockIndex{begin}, BlockIndex{end}}, std::move(cycle)};
}

TEST(MapBars, show_which_parts_of_the_disk_are_where) {
  const Replicas both{{"n1", 'Y'}, {"n2", 'Y'}};
  const Replicas behind{{"n1", 'Y'}, {"n3", 'N'}};
  const auto bars = map_bars({row(0, 6, {both}), row(6, 12, {behind})},
                             {{"n1", "jp/tokyo"}, {"n2", "jp/osaka"}, {"n3", "jp/osaka"}}, 4);
  EXPECT_EQ(map_bars_text(bars, 12, false),
            "n1        [####] 100%\n"
            "n2        [##..]  50%\n"
            "n3        [..!!]   0%\n"
            "jp        [####] 100%\n"
            "jp/osaka  [##!!]  50%\n"
            "jp/tokyo  [####] 100%\n");
}

TEST(MapBars, join_an_area_only_where_it_has_several_sites) {
  const auto bars = map_bars({row(0, 2, {{{"n1", 'Y'}}})}, {{"n1", "jp/tokyo/dc1"}}, 2);
  ASSERT_EQ(bars.size(), 2U);
  EXPECT_EQ(bars[0].name, "n1");
  EXPECT_EQ(bars[1].name, "jp/tokyo/dc1");
}

TEST(MapBars, know_only_the_part_of_the_map_they_are_given) {
  const auto bars = map_bars({row(10, 12, {{{"n1", 'Y'}}}), row(12, 14, {{{"n2", 'Y'}}})}, {}, 2);
  ASSERT_EQ(bars.size(), 2U);
  EXPECT_EQ(bars[0].cells, "#.");
  EXPECT_EQ(bars[1].cells, ".#");
}

TEST(MapBars, count_stripes_that_end_within_a_cell) {
  const auto bars = map_bars({row(0, 7, {{{"n1", 'Y'}}, {{"n2", 'Y'}}})}, {}, 2);  // 0-2 and 3-6
  ASSERT_EQ(bars.size(), 2U);
  EXPECT_EQ(bars[0].cells, "++");
  EXPECT_EQ(bars[0].in_sync, 4U);
  EXPECT_EQ(bars[1].in_sync, 3U);
}

TEST(MapBars, have_no_more_cells_than_the_disk_has_blocks) {
  EXPECT_EQ(map_bars({row(5, 7, {{{"n1", 'Y'}}})}, {}, 60).front().cells, "##");
  EXPECT_TRUE(map_bars({}, {}, 60).empty());
}

TEST(MapBars, change_colour_only_where_the_cells_change) {
  const auto bars = map_bars({row(0, 2, {{{"n1", 'Y'}}}), row(2, 3, {{{"n1", 'S'}}})}, {}, 3);
  EXPECT_EQ(map_bars_text(bars, 3, true), "n1  [\x1b[32m##\x1b[31m!\x1b[0m]  66%\n");
}

}  // namespace
}  // namespace ukai::ctl
