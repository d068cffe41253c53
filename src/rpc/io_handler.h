// SPDX-License-Identifier: BSD-2-Clause
#pragma once

#include <functional>
#include <optional>

#include "ukai/io.h"

namespace ukai {

/// What answers the requests that a data server receives. Threads: safe from any.
class IoHandler {
 public:
  using Done = std::function<void(IoReply)>;

  virtual ~IoHandler() = default;
  /// Answers at once, on a thread that must never wait; nullopt when that cannot be, and nothing
  /// has been changed then: start() follows.
  virtual std::optional<IoReply> answer_now(const IoRequest& request) = 0;
  /// Answers later, on any thread. `done` is called exactly once.
  virtual void start(IoRequest request, Done done) = 0;
};

}  // namespace ukai
