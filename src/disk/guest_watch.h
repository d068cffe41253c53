// SPDX-License-Identifier: BSD-2-Clause
#pragma once

#include <cstdint>

#include "ukai/scheduler.h"

namespace ukai {

/// Is a guest at work? Told how many requests there have been so far, whenever somebody wants to
/// know. Pure; not thread-safe.
class GuestWatch {
 public:
  bool works(std::uint64_t requests, TimePoint now) {
    const std::chrono::duration<double> passed = now - looked_;
    // Looks close together add up, so that they all get the same answer.
    if (passed.count() >= look_s) {
      works_ = static_cast<double>(requests - requests_) >= passed.count() * per_second_min;
      requests_ = requests;
      looked_ = now;
    }
    return works_;
  }

 private:
  static constexpr double look_s = 0.2;
  static constexpr double per_second_min = 10;  // less, and hardly any meets a copy

  std::uint64_t requests_ = 0;
  TimePoint looked_{};
  bool works_ = false;
};

}  // namespace ukai
