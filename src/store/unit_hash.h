// SPDX-License-Identifier: BSD-2-Clause
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>

namespace ukai {

/// XXH3-64 as libxxhash works it out, three times as fast where the processor has AVX2. Not with
/// its AVX-512 code, though that is faster still in a row: used for one unit now and then it makes
/// a 4 KiB read 5 % slower (docs/performance.md, "What profiles led to").
std::uint64_t hash_of_unit(std::span<const std::byte> content);

}  // namespace ukai
