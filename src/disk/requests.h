// SPDX-License-Identifier: BSD-2-Clause
#pragma once

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

/// The same for one target, without the overhead.
Task<IoReply> send_to(DiskCore& core, IoRequest request, Target target);

/// True when the member answers under `session`. False has ended that session.
Task<bool> ping(DiskCore& core, std::size_t index, Session session);

/// Whether a failed request means that the session it ran under can no longer be trusted.
bool ends_session(Code code);

}  // namespace ukai
