// SPDX-License-Identifier: BSD-2-Clause
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

#include "ukai/block_store.h"

namespace ukai {

/// The checksum of one 4 KiB unit of a block version.
using UnitSum = std::uint32_t;

/// Never written, or zeroed: the unit holds nothing but zeros.
inline constexpr UnitSum sum_of_nothing = 0;
/// No content fits it: what the unit held is lost.
inline constexpr UnitSum sum_of_damage = 0xffffffff;

/// Likewise, because every replica had lost it: not even a crash makes what stands there the
/// content.
inline constexpr UnitSum sum_of_loss = 0xfffffffe;

/// Checksums of one block version's units: XXH3-64 of the content, mixed with disk, block,
/// generation and the unit's number, so that data in the wrong place does not fit either; the low
/// 32 bits of that, except that none of the three values above is ever the sum of content that was
/// written. Value.
class UnitSummer {
 public:
  explicit UnitSummer(const BlockKey& key);

  UnitSum of(std::uint32_t unit, std::span<const std::byte> content) const;
  /// Is `content` what was written under `sum`?
  bool fits(std::uint32_t unit, std::span<const std::byte> content, UnitSum sum) const;
  /// Of whole units that follow each other, in whatever pieces they come.
  std::vector<UnitSum> of_all(std::uint32_t first, const Payload& data) const;

 private:
  std::uint64_t place_;
};

bool all_zero(std::span<const std::byte> data);

/// The range with the units that it touches in part.
inline Extent whole_units(Extent range) {
  constexpr std::uint32_t unit = BlockStore::unit_bytes;
  return {range.begin_bytes / unit * unit, (range.end_bytes + unit - 1) / unit * unit};
}

/// Adds a range to a sorted list, joined with the last one where they touch.
void append_extent(std::vector<Extent>& list, Extent range);

}  // namespace ukai
