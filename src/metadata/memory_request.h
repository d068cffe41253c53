// SPDX-License-Identifier: BSD-2-Clause
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "ukai/coordination.h"
#include "ukai/scheduler.h"
#include "ukai/task.h"

/// What a MemoryCoordination is asked, from its making to its answer.
namespace ukai::memory {

struct Answer {
  Znode znode;
  std::vector<std::string> names;
};

struct Request {
  enum class Kind { get, children, commit, sync };

  Kind kind = Kind::sync;
  std::string path;
  std::vector<Op> ops;
  OneShot<Result<Answer>> answer;
  // By the server's mutex.
  Scheduler::TimerId timer{};
  bool timed = false;
  bool answered = false;
  std::int64_t session = 0;  // under which it was sent

  bool change() const { return kind == Kind::commit; }
  const std::string& subject() const { return change() ? ops.front().path : path; }
};

using RequestPtr = std::shared_ptr<Request>;

}  // namespace ukai::memory
