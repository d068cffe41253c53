// SPDX-License-Identifier: BSD-2-Clause
#pragma once

#include <atomic>
#include <chrono>
#include <cstdint>
#include <functional>
#include <memory>
#include <mutex>
#include <string>
#include <unordered_map>
#include <vector>

#include "ukai/coordination.h"

struct _zhandle;

namespace ukai::zk {

/// The C client's answer to one request; what is filled in depends on the request.
struct Answer {
  int rc = 0;  ///< ZOK or one of ZOO_ERRORS
  Znode znode;
  std::vector<std::string> names;
  std::size_t failed_step = 0;  ///< of a transaction
};

enum class SessionEvent { connected, disconnected, ended };

class Session;

/// What happens to a session. Called on the C client's completion thread, which must not be held
/// up.
class SessionObserver {
 public:
  virtual ~SessionObserver() = default;
  virtual void session_changed(Session& session, SessionEvent event) = 0;
  /// A watch fired and is disarmed now.
  virtual void watch_fired(Session& session, std::uint64_t watch) = 0;
};

/// One ZooKeeper session: a thin shell around one handle of the multi-threaded C client. Paths are
/// absolute at the server. After `ended` it is good for nothing but destruction.
///
/// Requests return ZOK when they were queued; `done` is called exactly once then, on the completion
/// thread or, with ZCLOSING, in the destructor. Otherwise `done` is not called.
///
/// Threads: requests may come from any thread, but none while the destructor runs. The destructor
/// blocks until the C client's threads have ended, so it must not run on them.
class Session {
 public:
  using Done = std::function<void(Answer)>;

  explicit Session(SessionObserver& observer);
  ~Session();
  Session(const Session&) = delete;
  Session& operator=(const Session&) = delete;

  /// Starts connecting; returns at once but for the resolution of host names.
  /// unreachable: none of the names resolves.
  Result<> open(const std::string& servers, std::chrono::milliseconds timeout);

  int get(const std::string& path, Done done);
  int children(const std::string& path, Done done);
  /// An empty persistent znode.
  int create(const std::string& path, Done done);
  int commit(const std::vector<Op>& ops, Done done);
  int sync(const std::string& path, Done done);
  /// One-shot watches, told apart by `watch`. The second is not armed when it answers ZNONODE.
  int watch_existence(const std::string& path, std::uint64_t watch, Done done);
  int watch_children(const std::string& path, std::uint64_t watch, Done done);

  std::int64_t id() const;
  std::int64_t timeout_ms() const;

 private:
  struct Pending;
  struct Callbacks;
  friend struct Callbacks;

  Pending* enlist(Done done);
  int submitted(int rc, Pending* pending);
  void finish(Pending* pending, Answer answer);

  SessionObserver& observer_;
  std::atomic<_zhandle*> handle_{nullptr};
  std::mutex mutex_;
  std::unordered_map<Pending*, std::unique_ptr<Pending>> pending_;  // by mutex_
};

}  // namespace ukai::zk
