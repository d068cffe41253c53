// SPDX-License-Identifier: BSD-2-Clause
#include "store/unit_hash.h"

#include <xxhash.h>

#include "store/unit_hash_avx2.h"

namespace ukai {

std::uint64_t hash_of_unit(std::span<const std::byte> content) {
  static const bool has_avx2 = __builtin_cpu_supports("avx2") != 0;
  return has_avx2 ? xxh3_64_avx2(content.data(), content.size())
                  : XXH3_64bits(content.data(), content.size());
}

}  // namespace ukai
