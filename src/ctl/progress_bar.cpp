// SPDX-License-Identifier: BSD-2-Clause
#include "ctl/progress_bar.h"

#include <fmt/format.h>

#include <algorithm>

#include "ctl/table.h"
#include "ukai/types.h"

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

std::string pace_text(double seconds, std::uint64_t bytes, std::uint64_t blocks,
                      std::uint64_t left) {
  if (seconds < 0.5 || blocks == 0) return "";
  const auto rate = static_cast<std::uint64_t>(static_cast<double>(bytes) / seconds);
  const auto to_go =
      static_cast<std::uint64_t>(seconds * static_cast<double>(left) / static_cast<double>(blocks));
  const std::string speed = bytes == 0 ? "" : fmt::format("  {}/s", format_size(rate));
  return fmt::format("{}  {}:{:02} left", speed, to_go / 60, to_go % 60);
}

ProgressBar::ProgressBar(std::ostream& out, bool terminal, Clock::duration quiet)
    : out_(out), terminal_(terminal), next_(Clock::now() + quiet) {}

ProgressBar::~ProgressBar() { clear(); }

void ProgressBar::update(std::uint64_t done, std::uint64_t total, std::uint64_t bytes,
                         const std::string& waits) {
  const auto now = Clock::now();
  if (first_ == Clock::time_point{}) {
    first_ = now;
    first_done_ = done;
    first_bytes_ = bytes;
  }
  const bool unknown = total == 0;
  if (!terminal_ || now < next_ || (unknown && waits.empty())) return;
  next_ = now + redraw_interval;
  const double seconds = std::chrono::duration<double>(now - first_).count();
  const std::string pace =
      waits.empty() ? pace_text(seconds, bytes - std::min(bytes, first_bytes_),
                                done - std::min(done, first_done_), total - std::min(done, total))
                    : "  waits: " + one_line(waits);
  const std::string bar = unknown ? "" : progress_line(done, total, bar_width);
  out_ << '\r' << bar << pace << "\x1b[K" << std::flush;
  shown_ = true;
}

void ProgressBar::clear() {
  if (!shown_) return;
  out_ << "\r\x1b[K" << std::flush;
  shown_ = false;
}

}  // namespace ukai::ctl
