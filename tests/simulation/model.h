// SPDX-License-Identifier: BSD-2-Clause
#pragma once

#include <cstdint>
#include <limits>
#include <string>
#include <vector>

namespace ukai::sim {

/// What each 512-byte cell of the disk may read as (faults.md O1 and O2): the register check, and
/// the ledger of what was acknowledged and flushed.
///
/// Writes may overlap in time. A value is out once one whose write began after its own had ended is
/// acknowledged, or once a read that began after its own end has returned another. When all
/// replicas lose power, whatever has not been flushed may be back.
class Model {
 public:
  explicit Model(std::size_t cells);

  /// A write of `value` begins; the name of it for acked() and ended().
  std::uint64_t issued(std::size_t cell, std::uint64_t value);
  void acked(std::size_t cell, std::uint64_t write);
  /// It failed: it may show or not, but no later than this.
  void failed(std::size_t cell, std::uint64_t write);
  /// All that were issued before `moment` and have not ended do so now, not acknowledged.
  void abandon(std::uint64_t moment);

  /// A read that began at `begun` has returned `value`. Empty: fine; otherwise what was wrong.
  std::string read(std::size_t cell, std::uint64_t value, std::uint64_t begun);

  /// May a state that was frozen between `from` and `to` have this value?
  bool may_hold(std::size_t cell, std::uint64_t value, std::uint64_t from, std::uint64_t to) const;

  /// A flush that began at `begun` has been answered.
  void flushed(std::uint64_t begun);
  /// A flush failed: what was written before it is never again sure to be durable.
  void flush_failed() { doubt_ = now(); }
  /// Writes that were acknowledged but not flushed may be lost.
  void power_lost();

  /// Moments, for `begun`.
  std::uint64_t now() { return ++clock_; }

 private:
  static constexpr std::uint64_t never = std::numeric_limits<std::uint64_t>::max();
  struct Write {
    std::uint64_t value = 0;
    std::uint64_t begin = 0;  ///< also its name
    std::uint64_t end = never;
    bool acked = false;
    bool past = false;          ///< not even a power loss brings it back
    std::uint64_t out = never;  ///< reads that begin later do not return it
  };
  using Cell = std::vector<Write>;  ///< all of a run: they are few
  static Write& find(Cell& cell, std::uint64_t write);

  std::vector<Cell> cells_;
  std::uint64_t clock_ = 0;
  std::uint64_t doubt_ = 0;
  std::uint64_t power_lost_ = 0;
};

}  // namespace ukai::sim
