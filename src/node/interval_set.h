// SPDX-License-Identifier: BSD-2-Clause
#pragma once

#include <cstdint>
#include <map>
#include <vector>

#include "ukai/block_store.h"

namespace ukai {

/// A set of byte ranges of one block. Value.
class IntervalSet {
 public:
  void add(Extent range);
  /// The parts of `range` that are not in the set, in order.
  std::vector<Extent> uncovered(Extent range) const;
  /// Number of separate ranges.
  std::size_t size() const { return ranges_.size(); }

 private:
  std::map<std::uint32_t, std::uint32_t> ranges_;  // begin -> end; neither overlap nor touch
};

}  // namespace ukai
