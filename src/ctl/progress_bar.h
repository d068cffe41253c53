// SPDX-License-Identifier: BSD-2-Clause
#pragma once

#include <chrono>
#include <cstdint>
#include <ostream>
#include <string>

namespace ukai::ctl {

/// "[#####.....]  50%  128/256 blocks", `width` characters within the brackets.
std::string progress_line(std::uint64_t done, std::uint64_t total, std::size_t width);

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

  void update(std::uint64_t done, std::uint64_t total);
  /// Takes the line away.
  void clear();

 private:
  std::ostream& out_;
  const bool terminal_;
  Clock::time_point next_;
  bool shown_ = false;
};

}  // namespace ukai::ctl
