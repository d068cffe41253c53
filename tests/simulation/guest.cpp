// SPDX-License-Identifier: BSD-2-Clause
#include "simulation/guest.h"

#include <fmt/format.h>

#include <cstdlib>
#include <cstring>

namespace ukai::sim {
namespace {

using namespace std::chrono_literals;
constexpr std::size_t operations_max = 8;
constexpr std::size_t cells_max = 8;

}  // namespace

std::string Model::read(std::size_t cell, std::uint64_t value) {
  Cell& known = cells_[cell];
  if (value == known.settled) return "";
  if (!known.open.contains(value)) {
    return fmt::format("cell {} reads {}, expected {} or one of {} open writes", cell, value,
                       known.settled, known.open.size());
  }
  // It has been seen: from now on it is what the cell holds, and the others may still come.
  known.open.erase(value);
  known.settled = value;
  return "";
}

/// UKAI_TRACE=1: what the guest does, for the replay of one seed.
void Guest::trace(const std::string& what) const {
  static const bool wanted = std::getenv("UKAI_TRACE") != nullptr;
  if (!wanted) return;
  const auto since = world_.scheduler.now().time_since_epoch();
  fmt::print("{:10.6f} era {} {}\n", std::chrono::duration<double>(since).count(), era_, what);
}

void Guest::move_to(std::size_t host) {
  trace(fmt::format("moves to host {}", host));
  ++era_;
  handle_.reset();
  std::fill(in_use_.begin(), in_use_.end(), 0);
  spawn(open_on(host, era_));
}

Task<void> Guest::open_on(std::size_t host, std::uint64_t era) {
  while (era == era_) {
    auto opened = co_await world_.hosts[host]->disks->open(disk_, OpenMode::read_write);
    if (opened.ok()) {
      if (era == era_) handle_ = *opened;
      trace(fmt::format("opened for era {}", era));
      co_return;
    }
    co_await sleep_for(world_.scheduler, 100ms);
  }
}

/// A range that no other operation of this guest is at odds with: a guest that overlaps its own
/// unfinished writes gets what it deserves, and the model need not say what.
std::optional<Guest::Range> Guest::pick(bool exclusive) {
  const std::size_t first = world_.scheduler.below(cells_);
  const std::size_t count = 1 + world_.scheduler.below(std::min(cells_max, cells_ - first));
  for (std::size_t i = first; i < first + count; ++i) {
    if (in_use_[i] < 0 || (exclusive && in_use_[i] > 0)) return std::nullopt;
  }
  return Range{first, count};
}

void Guest::begin(Range range, int by) {
  ++under_way_;
  for (std::size_t i = range.first; i < range.first + range.count; ++i) in_use_[i] += by;
}

void Guest::end(Range range, int by, std::uint64_t era) {
  --under_way_;
  ++completed_;
  if (era != era_) return;
  for (std::size_t i = range.first; i < range.first + range.count; ++i) in_use_[i] -= by;
}

void Guest::act() {
  if (!handle_ || under_way_ >= operations_max) return;
  const std::uint64_t dice = world_.scheduler.below(100);
  if (dice < 5) {
    spawn(do_flush(era_));
  } else if (dice < 45) {
    if (auto range = pick(false)) spawn(do_read(*range, era_));
  } else if (dice < 92) {
    if (auto range = pick(true)) spawn(do_write(*range, era_));
  } else if (auto range = pick(true)) {
    spawn(do_zero(*range, era_));
  }
}

void Guest::read_all() {
  if (!handle_) return;  // said already: it never got open
  for (int round = 0; round < 2; ++round) {
    for (std::size_t first = 0; first < cells_; first += cells_max) {
      spawn(do_read({first, std::min(cells_max, cells_ - first)}, era_));
    }
  }
}

Task<void> Guest::do_read(Range range, std::uint64_t era) {
  const auto handle = handle_;
  begin(range, 1);
  auto data = co_await handle->read(range.first * cell_bytes,
                                    static_cast<std::uint32_t>(range.count) * cell_bytes);
  end(range, 1, era);
  if (!data.ok()) {
    io_errors_ += data.failed_with(Code::stale) ? 0 : 1;
    co_return;
  }
  if (era != era_) co_return;  // the former host may read what was true before the takeover
  const std::string bytes = data->to_string();
  if (bytes.size() != range.count * cell_bytes) {
    complain(fmt::format("a read of {} cells gave {} bytes", range.count, bytes.size()));
    co_return;
  }
  for (std::size_t i = 0; i < range.count; ++i) {
    std::uint64_t first = 0;
    std::uint64_t last = 0;
    std::memcpy(&first, &bytes[i * cell_bytes], 8);
    std::memcpy(&last, &bytes[(i + 1) * cell_bytes - 8], 8);
    if (first != last) complain(fmt::format("cell {} is torn", range.first + i));
    auto wrong = model_.read(range.first + i, first);
    if (!wrong.empty()) complain(wrong);
  }
}

void Guest::finish_change(Range range, std::uint64_t first_value, const Result<>& done,
                          std::uint64_t era) {
  end(range, -1, era);
  trace(fmt::format("change of era {} cells {}+{} value {}: {}", era, range.first, range.count,
                    first_value, done.ok() ? "done" : done.error().what));
  if (!done.ok()) {
    io_errors_ += done.failed_with(Code::stale) ? 0 : 1;
    return;
  }
  if (era != era_) {
    if (handle_) {
      complain("a write through a host was acknowledged after another host had taken over");
      return;
    }
  }
  for (std::size_t i = 0; i < range.count; ++i) {
    model_.acked(range.first + i, first_value == 0 ? 0 : first_value + i);
  }
}

Task<void> Guest::do_write(Range range, std::uint64_t era) {
  const auto handle = handle_;
  const std::uint64_t first_value = last_value_ + 1;
  last_value_ += range.count;
  std::string bytes(range.count * cell_bytes, '\0');
  for (std::size_t i = 0; i < range.count; ++i) {
    const std::uint64_t value = first_value + i;
    model_.issued(range.first + i, value);
    for (std::size_t at = 0; at < cell_bytes; at += 8) {
      std::memcpy(&bytes[i * cell_bytes + at], &value, 8);
    }
  }
  begin(range, -1);
  Payload data(Bytes::copy_of(bytes));
  const auto done = co_await handle->write(range.first * cell_bytes, std::move(data));
  finish_change(range, first_value, done, era);
}

Task<void> Guest::do_zero(Range range, std::uint64_t era) {
  const auto handle = handle_;
  for (std::size_t i = 0; i < range.count; ++i) model_.issued(range.first + i, 0);
  begin(range, -1);
  const ByteRange bytes{range.first * cell_bytes, (range.first + range.count) * cell_bytes};
  const auto done = co_await handle->zero(bytes);
  finish_change(range, 0, done, era);
}

Task<void> Guest::do_flush(std::uint64_t) {
  const auto handle = handle_;
  ++under_way_;
  const auto done = co_await handle->flush();
  --under_way_;
  if (!done.ok() && !done.failed_with(Code::stale)) ++io_errors_;
}

}  // namespace ukai::sim
