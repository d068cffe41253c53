// SPDX-License-Identifier: BSD-2-Clause
#pragma once

#include <string>

#include "simulation/run.h"

namespace ukai::sim {

/// What became of a number of seeds.
struct Seeds {
  std::uint64_t ran = 0;
  std::uint64_t operations = 0;
  std::uint64_t failing = 0;  ///< the smallest that failed; 0: none
  std::vector<std::string> problems;
};

/// Runs seeds 1 to `last`, on as many threads as UKAI_JOBS says (default: all cores), each seed on
/// one of them alone; stops at the first that fails.
Seeds play_seeds(const Plan& plan, std::uint64_t last);

/// One test: `otherwise` seeds, or UKAI_SEEDS of them, or only UKAI_SEED. A failing seed fails the
/// test, and says how it is replayed.
void expect_no_seed_fails(const Plan& plan, std::uint64_t otherwise);

/// An environment variable.
std::uint64_t number(const char* variable, std::uint64_t otherwise);

}  // namespace ukai::sim
