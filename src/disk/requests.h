// SPDX-License-Identifier: BSD-2-Clause
#pragma once

#include <coroutine>
#include <optional>
#include <vector>

#include "disk/disk_core.h"

namespace ukai {

/// A member and the session under which it is to be asked.
struct Target {
  std::size_t index = 0;
  Session session{};
  std::shared_ptr<NodeLink> link;
  bool required = true;  ///< in sync; else an arriving replica that gets the change as well
};

struct Answer {
  Target target;
  IoReply reply;
  Duration took{};  ///< from sending to this answer
};

/// Sends `request` to all targets at once, under their sessions, and returns when each has answered
/// or the I/O deadline has passed. Failures that end a session have ended it then.
Task<std::vector<Answer>> send_to_all(DiskCore& core, IoRequest request,
                                      std::vector<Target> targets);

/// What send_to returns: to be awaited at once. Not a Task, because nothing needs a frame: the
/// answer arrives here, in the awaiter's own.
class Sent {
 public:
  Sent(DiskCore& core, IoRequest request, Target target)
      : core_(core), request_(std::move(request)), target_(std::move(target)) {}
  Sent(const Sent&) = delete;
  Sent& operator=(const Sent&) = delete;

  bool await_ready() const noexcept { return false; }
  bool await_suspend(std::coroutine_handle<> awaiter);
  IoReply await_resume();

 private:
  DiskCore& core_;
  IoRequest request_;
  const Target target_;
  detail::Meeting meeting_;
  std::optional<IoReply> reply_;
};

/// The same for one target, without the overhead.
inline Sent send_to(DiskCore& core, IoRequest request, Target target) {
  return {core, std::move(request), std::move(target)};
}

/// What a request carries for every member, and under this session.
IoRequest under_session(const DiskCore& core, IoRequest request, Session session);
/// A failure that ends the session has ended it then.
void note_failure(DiskCore& core, const Target& target, const IoReply& reply);

/// True when the member answers under `session`. False has ended that session.
Task<bool> ping(DiskCore& core, std::size_t index, Session session);

/// Whether a failed request means that the session it ran under can no longer be trusted.
bool ends_session(Code code);

}  // namespace ukai
