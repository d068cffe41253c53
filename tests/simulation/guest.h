// SPDX-License-Identifier: BSD-2-Clause
#pragma once

#include <map>
#include <optional>
#include <string>
#include <vector>

#include "simulation/world.h"

namespace ukai::sim {

/// What each 4 KiB cell of the disk may read as (the register check, faults.md O1): the value
/// acknowledged last, or any that was issued later and not acknowledged. A value once read never
/// goes back.
class Model {
 public:
  explicit Model(std::size_t cells) : cells_(cells) {}

  void issued(std::size_t cell, std::uint64_t value) { cells_[cell].open.insert(value); }
  /// Acknowledged: nothing older may be seen again.
  void acked(std::size_t cell, std::uint64_t value) { cells_[cell] = {value, {}}; }
  /// An unfinished write was not acknowledged; it may show or not.
  bool busy(std::size_t cell) const { return !cells_[cell].open.empty(); }
  /// Empty: fine. Otherwise what was wrong.
  std::string read(std::size_t cell, std::uint64_t value);

 private:
  struct Cell {
    std::uint64_t settled = 0;
    std::set<std::uint64_t> open;
  };
  std::vector<Cell> cells_;
};

/// A guest that reads, writes, flushes and discards at random through one host at a time, and
/// checks whatever it reads. When its host is lost it goes on with another.
class Guest {
 public:
  static constexpr std::uint32_t cell_bytes = 4096;

  Guest(World& world, DiskName disk, std::size_t cells)
      : world_(world), disk_(std::move(disk)), model_(cells), cells_(cells), in_use_(cells, 0) {}

  /// Opens the disk on `host`; operations of the former host count as abandoned from then on.
  void move_to(std::size_t host);
  bool is_open() const { return handle_ != nullptr; }
  /// Starts one random operation if it is open and fewer than a handful are under way.
  void act();
  std::size_t under_way() const { return under_way_; }
  std::uint64_t completed() const { return completed_; }
  void close() { handle_.reset(); }
  /// Starts reading everything twice.
  void read_all();
  const std::vector<std::string>& violations() const { return violations_; }
  std::uint64_t io_errors() const { return io_errors_; }

 private:
  struct Range {
    std::size_t first;
    std::size_t count;
  };
  std::optional<Range> pick(bool exclusive);
  Task<void> open_on(std::size_t host, std::uint64_t era);
  Task<void> do_read(Range range, std::uint64_t era);
  Task<void> do_write(Range range, std::uint64_t era);
  Task<void> do_zero(Range range, std::uint64_t era);
  Task<void> do_flush(std::uint64_t era);
  void begin(Range range, int by);
  void end(Range range, int by, std::uint64_t era);
  void trace(const std::string& what) const;
  void complain(std::string what) { violations_.push_back(std::move(what)); }
  void finish_change(Range range, std::uint64_t first_value, const Result<>& done,
                     std::uint64_t era);

  World& world_;
  DiskName disk_;
  Model model_;
  const std::size_t cells_;
  std::vector<int> in_use_;  ///< -1: being changed; n: n reads
  std::shared_ptr<OpenDisk> handle_;
  std::uint64_t era_ = 0;  ///< grows with each move; what an older one still does is abandoned
  std::uint64_t last_value_ = 0;
  std::size_t under_way_ = 0;
  std::uint64_t completed_ = 0;
  std::uint64_t io_errors_ = 0;
  std::vector<std::string> violations_;
};

}  // namespace ukai::sim
