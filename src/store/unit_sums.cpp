// SPDX-License-Identifier: BSD-2-Clause
#include "store/unit_sums.h"

#include <xxhash.h>

#include <algorithm>
#include <array>
#include <cstring>

#include "store/unit_hash.h"

namespace ukai {
namespace {

constexpr std::uint64_t odd = 0x9e3779b97f4a7c15;

std::uint64_t mixed(std::uint64_t value) {
  value = (value ^ (value >> 32)) * odd;
  return value ^ (value >> 29);
}

}  // namespace

UnitSummer::UnitSummer(const BlockKey& key) {
  const auto& id = key.disk.bytes();
  place_ = XXH3_64bits(id.data(), id.size());
  place_ = mixed(place_ ^ raw(key.block));
  place_ = mixed(place_ ^ raw(key.generation));
}

UnitSum UnitSummer::of(std::uint32_t unit, std::span<const std::byte> content) const {
  const std::uint64_t place = mixed(place_ + (std::uint64_t{unit} + 1) * odd);
  const auto sum = static_cast<UnitSum>(hash_of_unit(content) ^ place);
  if (sum == sum_of_nothing) return 1;
  return sum >= sum_of_loss ? sum - 2 : sum;
}

bool UnitSummer::fits(std::uint32_t unit, std::span<const std::byte> content, UnitSum sum) const {
  if (sum == sum_of_nothing) return all_zero(content);
  return sum < sum_of_loss && of(unit, content) == sum;
}

std::vector<UnitSum> UnitSummer::of_all(std::uint32_t first, const Payload& data) const {
  constexpr std::size_t unit_bytes = BlockStore::unit_bytes;
  std::vector<UnitSum> sums;
  sums.reserve(data.size() / unit_bytes);
  std::array<std::byte, unit_bytes> gathered;  // a unit that comes in several pieces
  std::size_t have = 0;
  const auto next = [&](std::span<const std::byte> content) {
    sums.push_back(of(first + static_cast<std::uint32_t>(sums.size()), content));
  };
  for (const Bytes& piece : data.pieces()) {
    auto left = piece.view();
    while (!left.empty()) {
      if (have == 0 && left.size() >= unit_bytes) {
        next(left.first(unit_bytes));
        left = left.subspan(unit_bytes);
        continue;
      }
      const std::size_t take = std::min(left.size(), unit_bytes - have);
      std::memcpy(gathered.data() + have, left.data(), take);
      left = left.subspan(take);
      have += take;
      if (have < unit_bytes) continue;
      next(gathered);
      have = 0;
    }
  }
  return sums;
}

bool all_zero(std::span<const std::byte> data) {
  // All bytes are equal when each equals its successor; memcmp does that at memory speed.
  return data.empty() || (data[0] == std::byte{0} &&
                          std::memcmp(data.data(), data.data() + 1, data.size() - 1) == 0);
}

void append_extent(std::vector<Extent>& list, Extent range) {
  if (!list.empty() && list.back().end_bytes == range.begin_bytes)
    list.back().end_bytes = range.end_bytes;
  else
    list.push_back(range);
}

}  // namespace ukai
