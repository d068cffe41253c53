// SPDX-License-Identifier: BSD-2-Clause
#include "ctl/progress_bar.h"

#include <fmt/format.h>

#include <algorithm>

namespace ukai::ctl {
namespace {

constexpr std::size_t bar_width = 40;
constexpr auto redraw_interval = std::chrono::milliseconds(100);

}  // namespace

std::string progress_line(std::uint64_t done, std::uint64_t total, std::size_t width) {
  done = std::min(done, total);
  const double part = total == 0 ? 1.0 : static_cast<double>(done) / static_cast<double>(total);
  const auto filled = static_cast<std::size_t>(part * static_cast<double>(width));
  return fmt::format("[{}{}] {:3}%  {}/{} blocks", std::string(filled, '#'),
                     std::string(width - filled, '.'), static_cast<int>(part * 100), done, total);
}

ProgressBar::ProgressBar(std::ostream& out, bool terminal, Clock::duration quiet)
    : out_(out), terminal_(terminal), next_(Clock::now() + quiet) {}

ProgressBar::~ProgressBar() { clear(); }

void ProgressBar::update(std::uint64_t done, std::uint64_t total) {
  if (!terminal_ || Clock::now() < next_) return;
  next_ = Clock::now() + redraw_interval;
  out_ << '\r' << progress_line(done, total, bar_width) << "\x1b[K" << std::flush;
  shown_ = true;
}

void ProgressBar::clear() {
  if (!shown_) return;
  out_ << "\r\x1b[K" << std::flush;
  shown_ = false;
}

}  // namespace ukai::ctl
