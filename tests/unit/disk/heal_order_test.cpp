// SPDX-License-Identifier: BSD-2-Clause
#include "disk/heal_order.h"

#include <gmock/gmock.h>

namespace ukai {
namespace {

BlockVersion version(std::uint64_t block) { return {BlockIndex{block}, Generation{1}}; }

TEST(HealOrder, begins_with_what_one_more_failure_would_cost) {
  const std::set<BlockVersion> blocks{version(1), version(2), version(3), version(4)};
  const auto in_sync = [](BlockIndex block) -> std::size_t {
    return block == BlockIndex{3} || block == BlockIndex{1} ? 2 : 1;
  };
  EXPECT_THAT(most_valuable_first(blocks, in_sync),
              testing::ElementsAre(version(2), version(4), version(1), version(3)));
}

}  // namespace
}  // namespace ukai
