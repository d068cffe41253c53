// SPDX-License-Identifier: BSD-2-Clause
//
// Alone in its file, with nothing else of C++: whatever inline function is compiled here is
// compiled for AVX2, and the linker might take it for the whole program.
#include "store/unit_hash_avx2.h"

#define XXH_INLINE_ALL
#include <xxhash.h>

namespace ukai {

std::uint64_t xxh3_64_avx2(const void* data, std::size_t length) {
  return XXH3_64bits(data, length);
}

}  // namespace ukai
