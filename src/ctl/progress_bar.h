// SPDX-License-Identifier: BSD-2-Clause
#pragma once

#include <chrono>
#include <cstdint>
#include <ostream>
#include <string>

namespace ukai::ctl {

/// "[#####.....]  50%  128/256 blocks", `width` characters within the brackets.
std::string progress_line(std::uint64_t done, std::uint64_t total, std::size_t width);
/// "  12 MiB/s  3:20 left": `bytes` and `blocks` within `seconds`, `left` blocks to go. Empty when
/// nothing can be said yet.
std::string pace_text(double seconds, std::uint64_t bytes, std::uint64_t blocks,
                      std::uint64_t left);

/// One line on a terminal that shows how far a long operation is. Appears only when the operation
/// has taken a while, and vanishes at the end.
/// Threads: calls must not overlap.
class ProgressBar {
 public:
  using Clock = std::chrono::steady_clock;
  /// Nothing is ever written unless `terminal`.
  ProgressBar(std::ostream& out, bool terminal, Clock::duration quiet = std::chrono::seconds(2));
  ~ProgressBar();
  ProgressBar(const ProgressBar&) = delete;
  ProgressBar& operator=(const ProgressBar&) = delete;

  /// `total`: 0 while nobody knows it. `bytes`: moved so far, which gives the rate. `waits`: what
  /// it waits for; empty: nothing.
  void update(std::uint64_t done, std::uint64_t total, std::uint64_t bytes = 0,
              const std::string& waits = "");
  /// Takes the line away.
  void clear();

 private:
  std::ostream& out_;
  const bool terminal_;
  Clock::time_point next_;
  bool shown_ = false;
  // -- what the first update said: the pace is that since then
  Clock::time_point first_{};
  std::uint64_t first_done_ = 0;
  std::uint64_t first_bytes_ = 0;
};

}  // namespace ukai::ctl
