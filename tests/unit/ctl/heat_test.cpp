// SPDX-License-Identifier: BSD-2-Clause
#include "ctl/heat.h"

#include <gtest/gtest.h>

namespace ukai::ctl {
namespace {

pb::RangeCount count(std::uint32_t range, std::uint64_t reads, std::uint64_t writes) {
  pb::RangeCount out;
  out.set_range(range);
  out.set_reads(reads);
  out.set_writes(writes);
  return out;
}

TEST(Heat, shows_which_parts_each_host_uses) {
  const std::vector<HostHeat> heats{
      {"h1", "jp/tokyo", true, 2, {count(0, 500, 500)}},
      {"h2", "jp/osaka", true, 2, {count(1, 10, 0), count(3, 100, 0)}}};
  EXPECT_EQ(heat_text(heats, 8, 4),
            "h1  reads   [#...]\n"
            "h1  writes  [#...]\n"
            "h2  reads   [._.#]\n"
            "h2  writes  [....]\n"
            "\n"
            "HOTTEST BLOCKS  HOST  REQUESTS  SHARE\n"
            "0-1             h1        1000    90%\n"
            "6-7             h2         100     9%\n"
            "2-3             h2          10     0%\n");
  EXPECT_EQ(heat_text({}, 8, 4), "");
}

TEST(Heat, leaves_out_what_a_shorter_disk_does_not_have) {
  const std::vector<HostHeat> heats{{"h1", "", true, 2, {count(0, 1, 0), count(9, 100, 0)}}};
  EXPECT_EQ(heat_text(heats, 4, 2).find("18"), std::string::npos);
}

TEST(Heat, names_hosts_that_say_nothing) {
  EXPECT_EQ(silent_hosts_text({{"h1", "", true, 1, {}}}), "");
  EXPECT_EQ(silent_hosts_text({{"h1", "", false, 1, {}}, {"h2", "", false, 1, {}}}),
            "(no answer from h1, h2: what it uses is not known)\n");
}

}  // namespace
}  // namespace ukai::ctl
