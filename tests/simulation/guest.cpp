// SPDX-License-Identifier: BSD-2-Clause
#include "simulation/guest.h"

#include <fmt/format.h>

#include <cstring>

namespace ukai::sim {
namespace {

using namespace std::chrono_literals;
constexpr std::size_t operations_max = 8;
constexpr std::size_t witnesses_max = 4;
constexpr std::size_t cells_max = 12;

}  // namespace

void Guest::complain(const std::string& what) {
  world_.trace("VIOLATION: " + what);
  violations_.push_back(what);
}

void Guest::move_to(std::size_t host) {
  world_.trace(fmt::format("guest: opens on {}", world_.hosts[host]->id.str()));
  ++era_;
  host_ = host;
  handle_.reset();
  left_.reset();
  spawn(open_on(host, era_));
}

void Guest::close() {
  handle_.reset();
  dead_.reset();
  left_.reset();
  witness_.reset();
  reader_.reset();
  reader_host_.reset();
}

Task<void> Guest::open_on(std::size_t host, std::uint64_t era) {
  while (era == era_) {
    const std::uint64_t begun = model_.now();
    auto opened = co_await world_.hosts[host]->disks->open(disk_, OpenMode::read_write);
    if (opened.ok()) {
      if (era != era_) co_return;
      handle_ = *opened;
      if (migrates_) handle_->note_write_lock(true);
      if (host != opened_on_) opened_ = begun;
      opened_on_ = host;
      world_.trace("guest: has opened");
      co_return;
    }
    co_await sleep_for(world_.scheduler, 100ms);
  }
}

Guest::Range Guest::pick() {
  const std::size_t first = world_.scheduler.below(cells_);
  const std::size_t border_end = (first / border_cells + 1) * border_cells;
  const std::size_t count = 1 + world_.scheduler.below(std::min(cells_max, border_end - first));
  return {first, count};
}

std::uint64_t Guest::offset_of(std::size_t cell) const {
  const std::uint64_t border = (cell / border_cells + 1) * std::uint64_t{block_bytes_};
  return border - border_cells / 2 * cell_bytes + cell % border_cells * cell_bytes;
}

void Guest::act() {
  const auto dice = world_.scheduler.below(100);
  if (witness_ && (dice >= 90 || !handle_) && witnessing_ < witnesses_max) {
    spawn(do_witness(witness_, pick()));
  }
  if (!handle_ || under_way_ >= operations_max) return;
  if (dice == 99 && dead_) {
    spawn(do_write_dead(std::exchange(dead_, nullptr)));
  } else if (dice < 5) {
    spawn(do_flush(era_));
  } else if (dice < 40) {
    spawn(do_read(handle_, pick(), era_));
  } else if (dice < 92) {
    spawn(do_write(pick(), era_));
  } else {
    spawn(do_zero(pick(), era_));
  }
}

void Guest::act_reader() {
  if (!reader_host_ || under_way_ >= operations_max) return;
  if (reader_) {
    spawn(do_read(reader_, pick(), era_));
  } else if (!std::exchange(reader_opening_, true)) {
    spawn(open_reader());
  }
}

Task<void> Guest::open_reader() {
  auto opened = co_await world_.hosts[*reader_host_]->disks->open(disk_, OpenMode::read_only);
  reader_opening_ = false;
  if (opened.ok() && reader_host_) reader_ = *opened;
}

bool Guest::writes_to(std::uint64_t offset_bytes) const {
  const std::uint64_t border = (offset_bytes + block_bytes_ / 2) / block_bytes_;
  const std::uint64_t middle = border * block_bytes_;
  constexpr std::uint64_t reach = border_cells / 2 * cell_bytes;
  return border >= 1 && border <= cells_ / border_cells && offset_bytes + reach >= middle &&
         offset_bytes < middle + reach;
}

void Guest::touch_all() {
  for (std::size_t border = 0; handle_ && border < cells_; border += border_cells) {
    spawn(do_write({border + border_cells / 2 - 1, 2}, era_));
  }
}

void Guest::write_all() {
  for (std::size_t first = 0; handle_ && first < cells_; first += border_cells) {
    spawn(do_write({first, border_cells}, era_));
  }
}

void Guest::read_all() {
  if (!handle_) return;  // said already: it never got open
  for (int round = 0; round < 2; ++round) {
    for (std::size_t first = 0; first < cells_; first += border_cells) {
      spawn(do_read(handle_, {first, border_cells}, era_));
    }
  }
}

void Guest::flush() {
  if (handle_) spawn(do_flush(era_));
}

/// An operation that began when nothing had gone wrong for a while must not fail, or take long.
void Guest::ended(const std::string& what, TimePoint since, std::uint64_t era,
                  const Result<>& done) {
  --under_way_;
  if (done.ok()) ++completed_;
  if (done.failed_with(Code::io)) ++io_errors_;
  if (era != era_) return;
  // Whoever serves has fenced: the nodes refuse whatever another host still sends. (The same host
  // goes on with it.) What they had taken before that may be acknowledged late. A guest that
  // migrates may read through the former host for a while.
  if (done.ok() && opened_ && !migrates_) model_.abandon(*std::exchange(opened_, std::nullopt));
  const auto took = world_.scheduler.now() - since;
  const auto ms = std::chrono::duration_cast<std::chrono::milliseconds>(took).count();
  world_.trace(
      fmt::format("guest: {} after {} ms: {}", what, ms, done.ok() ? "done" : done.error().what));
  if (since < world_.calm_since() + World::calm_after) return;
  if (took > World::stall_max) complain(fmt::format("{} took {} ms in calm", what, ms));
  if (!done.ok()) complain(fmt::format("{} failed in calm: {}", what, done.error().what));
}

void Guest::check(Range range, const std::string& bytes, std::uint64_t begun) {
  if (bytes.size() != range.count * cell_bytes) {
    complain(fmt::format("a read of {} cells gave {} bytes", range.count, bytes.size()));
    return;
  }
  for (std::size_t i = 0; i < range.count; ++i) {
    std::uint64_t first = 0;
    std::uint64_t last = 0;
    std::memcpy(&first, &bytes[i * cell_bytes], 8);
    std::memcpy(&last, &bytes[(i + 1) * cell_bytes - 8], 8);
    if (first != last) complain(fmt::format("cell {} is torn", range.first + i));
    auto wrong = model_.read(range.first + i, first, begun);
    if (!wrong.empty()) complain(wrong);
  }
}

Task<void> Guest::do_read(std::shared_ptr<OpenDisk> handle, Range range, std::uint64_t era) {
  const TimePoint since = world_.scheduler.now();
  const std::uint64_t begun = model_.now();
  const std::uint64_t losses = world_.power_losses;
  ++under_way_;
  auto data = co_await handle->read(offset_of(range.first),
                                    static_cast<std::uint32_t>(range.count) * cell_bytes);
  Result<> done;
  if (!data.ok()) done = data.error();
  ended(fmt::format("read {}+{}", range.first, range.count), since, era, done);
  // The former host may read what was true before the takeover; so may who reads as power is lost.
  if (!data.ok() || era != era_ || losses != world_.power_losses) co_return;
  check(range, data->to_string(), begun);
}

Task<void> Guest::do_witness(std::shared_ptr<OpenDisk> handle, Range range) {
  const std::uint64_t begun = model_.now();
  const std::uint64_t losses = world_.power_losses;
  ++witnessing_;
  auto data = co_await handle->read(offset_of(range.first),
                                    static_cast<std::uint32_t>(range.count) * cell_bytes);
  --witnessing_;
  if (data.ok() && losses == world_.power_losses) check(range, data->to_string(), begun);
}

void Guest::finish_change(const Change& change, const Result<>& done) {
  const Range& range = change.range;
  ended(fmt::format("change {}+{}", range.first, range.count), change.since, change.era, done);
  for (std::size_t i = 0; i < range.count; ++i) {
    if (done.ok()) {
      model_.acked(range.first + i, change.writes[i]);
    } else {
      model_.failed(range.first + i, change.writes[i]);
    }
  }
  if (done.ok() && change.era == era_ && change.handle == handle_) {
    if (opened_) model_.abandon(*std::exchange(opened_, std::nullopt));
    if (left_) dead_ = std::exchange(left_, nullptr);
  }
  if (done.failed_with(Code::stale) && change.era == era_) {
    dead_ = change.handle;
    move_to(host_);
  }
}

Task<void> Guest::do_write(Range range, std::uint64_t era) {
  const auto handle = handle_;
  Change change{range, {}, era, host_, world_.scheduler.now(), handle};
  std::string bytes(range.count * cell_bytes, '\0');
  for (std::size_t i = 0; i < range.count; ++i) {
    const std::uint64_t value = ++last_value_;
    change.writes.push_back(model_.issued(range.first + i, value));
    std::memcpy(&bytes[i * cell_bytes], &value, 8);
    std::memcpy(&bytes[(i + 1) * cell_bytes - 8], &value, 8);
  }
  ++under_way_;
  world_.trace(fmt::format("guest: writes {}+{} values {}+", range.first, range.count,
                           last_value_ + 1 - range.count));
  Payload data(Bytes::copy_of(bytes));
  const auto done = co_await handle->write(offset_of(range.first), std::move(data));
  finish_change(change, done);
}

Task<void> Guest::do_zero(Range range, std::uint64_t era) {
  const auto handle = handle_;
  Change change{range, {}, era, host_, world_.scheduler.now(), handle};
  for (std::size_t i = 0; i < range.count; ++i) {
    change.writes.push_back(model_.issued(range.first + i, 0));
  }
  ++under_way_;
  world_.trace(fmt::format("guest: zeroes {}+{}", range.first, range.count));
  const std::uint64_t begin = offset_of(range.first);
  const ByteRange bytes{begin, begin + range.count * cell_bytes};
  const auto done = co_await handle->zero(bytes);
  finish_change(change, done);
}

/// Another host has been the writer: what this handle's user believes about the disk is out of
/// date.
Task<void> Guest::do_write_dead(std::shared_ptr<OpenDisk> handle) {
  Payload data(Bytes::copy_of(std::string(cell_bytes, '!')));
  const auto done = co_await handle->write(offset_of(0), std::move(data));
  if (done.ok()) complain("a handle that was dead has written");
}

Task<void> Guest::do_flush(std::uint64_t era) {
  const auto handle = handle_;
  const TimePoint since = world_.scheduler.now();
  const std::uint64_t begun = model_.now();
  const std::uint64_t losses = world_.power_losses;
  ++under_way_;
  const auto done = co_await handle->flush();
  // It may be the one that has to say that writes were lost.
  const bool told = done.failed_with(Code::io);
  ended(told ? "flush that told of lost writes" : "flush", since, era, told ? Result<>() : done);
  if (done.ok() && losses == world_.power_losses) model_.flushed(begun);
  if (told) model_.flush_failed();
}

}  // namespace ukai::sim
