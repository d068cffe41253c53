// SPDX-License-Identifier: BSD-2-Clause
#include "base/unix_time.h"

#include <chrono>

namespace ukai {

std::uint64_t unix_now_s() {
  const auto since = std::chrono::system_clock::now().time_since_epoch();
  return static_cast<std::uint64_t>(
      std::chrono::duration_cast<std::chrono::seconds>(since).count());
}

}  // namespace ukai
