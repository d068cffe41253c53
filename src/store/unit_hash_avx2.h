// SPDX-License-Identifier: BSD-2-Clause
#pragma once

#include <cstddef>
#include <cstdint>

namespace ukai {

/// XXH3-64, for processors with AVX2 only.
std::uint64_t xxh3_64_avx2(const void* data, std::size_t length);

}  // namespace ukai
