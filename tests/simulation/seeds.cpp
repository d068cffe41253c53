// SPDX-License-Identifier: BSD-2-Clause
#include "simulation/seeds.h"

#include <fmt/format.h>
#include <gtest/gtest.h>

#include <atomic>
#include <cstdlib>
#include <mutex>
#include <thread>

#include "base/log.h"

namespace ukai::sim {
namespace {

bool traced() { return std::getenv("UKAI_TRACE") != nullptr; }

/// What the core says is worth reading in a trace only.
void quieten() {
  log::Options options;
  if (!traced()) {
    options.level = log::Level::error;
    options.file = "/dev/null";
  }
  static_cast<void>(log::open(options));
}

}  // namespace

std::uint64_t number(const char* variable, std::uint64_t otherwise) {
  const char* text = std::getenv(variable);
  return text == nullptr ? otherwise : std::strtoull(text, nullptr, 10);
}

Seeds play_seeds(const Plan& plan, std::uint64_t last) {
  quieten();
  Seeds out;
  std::mutex mutex;
  std::atomic<std::uint64_t> next{1};
  std::atomic<bool> stop{false};
  auto work = [&] {
    for (;;) {
      const std::uint64_t seed = next++;
      if (seed > last || stop) return;
      Run run(seed, plan, false);
      auto problems = run.play();
      const std::lock_guard lock(mutex);
      ++out.ran;
      out.operations += run.completed();
      if (problems.empty() || (out.failing != 0 && out.failing < seed)) continue;
      out.failing = seed;
      out.problems = std::move(problems);
      stop = true;
    }
  };
  const std::uint64_t jobs = number("UKAI_JOBS", std::max(1U, std::thread::hardware_concurrency()));
  std::vector<std::thread> threads;
  for (std::uint64_t i = 0; i < std::min(jobs, last); ++i) threads.emplace_back(work);
  for (std::thread& thread : threads) thread.join();
  return out;
}

void expect_no_seed_fails(const Plan& plan, std::uint64_t otherwise) {
  Seeds seeds;
  if (const std::uint64_t only = number("UKAI_SEED", 0); only != 0) {
    quieten();
    Run run(only, plan, traced());
    seeds.problems = run.play();
    seeds.ran = 1;
    seeds.operations = run.completed();
    seeds.failing = seeds.problems.empty() ? 0 : only;
  } else {
    seeds = play_seeds(plan, number("UKAI_SEEDS", otherwise));
  }
  const auto* test = testing::UnitTest::GetInstance()->current_test_info();
  fmt::print("simulation: {} seeds, {} operations\n", seeds.ran, seeds.operations);
  for (const std::string& problem : seeds.problems) ADD_FAILURE() << problem;
  if (seeds.failing != 0) {
    FAIL() << "replay with UKAI_SEED=" << seeds.failing
           << " UKAI_TRACE=1 build/release/bin/simulation_test --gtest_filter=*."
           << (test == nullptr ? "" : test->name());
  }
  EXPECT_GT(seeds.operations, 50 * seeds.ran) << "the guest hardly worked";
}

}  // namespace ukai::sim
