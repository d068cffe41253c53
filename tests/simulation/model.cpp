// SPDX-License-Identifier: BSD-2-Clause
#include "simulation/model.h"

#include <fmt/format.h>

#include <algorithm>
#include <cassert>

namespace ukai::sim {

Model::Model(std::size_t cells) : cells_(cells) {
  for (Cell& cell : cells_) cell.push_back({.value = 0, .begin = 0, .end = 0, .acked = true});
}

Model::Write& Model::find(Cell& cell, std::uint64_t write) {
  const auto at = std::find_if(cell.begin(), cell.end(),
                               [&](const Write& known) { return known.begin == write; });
  assert(at != cell.end());
  return *at;
}

std::uint64_t Model::issued(std::size_t cell, std::uint64_t value) {
  cells_[cell].push_back({.value = value, .begin = now()});
  return clock_;
}

void Model::acked(std::size_t cell, std::uint64_t write) {
  Write& done = find(cells_[cell], write);
  done.acked = true;
  const std::uint64_t moment = now();
  if (done.end == never) done.end = moment;  // an abandoned one was applied before the takeover
  // What was applied just before the power went may be answered after it, and is lost.
  if (done.begin < power_lost_) return;
  for (Write& other : cells_[cell]) {
    if (other.end < done.begin) other.out = std::min(other.out, clock_);
  }
}

void Model::failed(std::size_t cell, std::uint64_t write) {
  Write& done = find(cells_[cell], write);
  if (done.end == never) done.end = now();
}

void Model::abandon(std::uint64_t moment) {
  const std::uint64_t end = now();
  for (Cell& cell : cells_) {
    for (Write& write : cell) {
      if (write.begin < moment && write.end == never) write.end = end;
    }
  }
}

std::string Model::read(std::size_t cell, std::uint64_t value, std::uint64_t begun) {
  Cell& known = cells_[cell];
  const bool fine = std::any_of(known.begin(), known.end(), [&](const Write& write) {
    return write.out > begun && write.value == value;
  });
  if (!fine) {
    std::string expected;
    for (const Write& write : known) {
      if (write.out > begun) expected += fmt::format(" {}", write.value);
    }
    return fmt::format("cell {} reads {}, expected one of{}", cell, value, expected);
  }
  const std::uint64_t seen = now();
  for (Write& write : known) {
    if (write.value != value && write.end < begun) write.out = std::min(write.out, seen);
  }
  return "";
}

bool Model::may_hold(std::size_t cell, std::uint64_t value, std::uint64_t from,
                     std::uint64_t to) const {
  const Cell& known = cells_[cell];
  return std::any_of(known.begin(), known.end(), [&](const Write& write) {
    return write.value == value && write.begin < to && write.out > from;
  });
}

void Model::flushed(std::uint64_t begun) {
  for (Cell& cell : cells_) {
    std::uint64_t floor = 0;
    for (const Write& write : cell) {
      if (write.acked && write.end < begun && write.begin > doubt_) {
        floor = std::max(floor, write.begin);
      }
    }
    for (Write& write : cell) write.past = write.past || write.end < floor;
  }
}

void Model::power_lost() {
  power_lost_ = now();
  for (Cell& cell : cells_) {
    for (Write& write : cell) {
      if (!write.past) write.out = never;
    }
  }
}

}  // namespace ukai::sim
