// SPDX-License-Identifier: BSD-2-Clause
#pragma once

#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "ukai/coordination.h"
#include "ukai/limits.h"
#include "ukai/scheduler.h"
#include "ukai/task.h"

namespace ukai {

/// The tree that several MemoryCoordination clients share: ZooKeeper's rules without ZooKeeper.
/// Threads: safe from any.
class MemoryZooKeeper {
 public:
  MemoryZooKeeper();
  ~MemoryZooKeeper();
  MemoryZooKeeper(const MemoryZooKeeper&) = delete;
  MemoryZooKeeper& operator=(const MemoryZooKeeper&) = delete;

  /// Replaces a value behind everybody's back (a damaged record); no watch fires.
  void corrupt(const std::string& path, std::string data);
  /// All paths, sorted; for tests that nothing was left behind.
  std::vector<std::string> paths() const;

 private:
  friend class MemoryCoordination;
  struct Impl;
  /// Shared with the clients, whose tokens and timers may outlive the tree's owner.
  std::shared_ptr<Impl> impl_;
};

/// What becomes of one change: the ways in which a connection can lose it. `hang`: it is applied,
/// and the client learns only after its request timeout that the answer does not come.
enum class ChangeFault { none, lose_request, lose_reply, hang };

struct MemoryOptions {
  Duration session_timeout = limits::zookeeper_session_default;
  Duration request_timeout = limits::metadata_request_default;
};

/// Coordination in memory with the semantics of ZooKeeper's, for tests and the simulator: versions,
/// czxid, atomic transactions, ephemerals bound to sessions, watches. It has no threads and takes
/// time and execution from `scheduler` only, so it is deterministic where that is.
///
/// A request is applied when it is made; its answer comes through Scheduler::post.
class MemoryCoordination final : public Coordination {
 public:
  /// `scheduler` outlives it. Connected at once.
  MemoryCoordination(MemoryZooKeeper& tree, Scheduler& scheduler, MemoryOptions options = {});
  /// Ends the session; calls under way fail with shut_down.
  ~MemoryCoordination() override;
  MemoryCoordination(const MemoryCoordination&) = delete;
  MemoryCoordination& operator=(const MemoryCoordination&) = delete;

  Task<Result<Znode>> get(std::string path) override;
  Task<Result<std::vector<std::string>>> children(std::string path) override;
  Task<Result<>> commit(std::vector<Op> ops) override;
  Task<Result<>> sync() override;
  std::unique_ptr<Watch> watch(std::string path, bool children,
                               std::function<void()> changed) override;
  SessionState session_state() const override;
  std::int64_t session_id() const override;
  std::int64_t session_timeout_ms() const override;
  std::unique_ptr<Watch> on_session(std::function<void(SessionState)> listener) override;

  // -- faults

  /// The server ends the session and its ephemerals; a new one is made at once, or when the
  /// connection is back.
  void expire_session();
  /// The connection is lost: calls wait, and fail as unreachable after the request timeout. After
  /// the session timeout the server ends the session.
  void suspend();
  void resume();
  /// The server stops answering: requests are sent and hang until thaw(), which applies them in
  /// order even if the caller has given up by then (as a stopped server does).
  void freeze();
  void thaw();
  /// The server that this client is connected to falls behind the others: reads are answered with
  /// what was so then, and watches are silent, until catch_up(), sync(), a change of the client's
  /// own, or a new connection.
  void lag();
  void catch_up();
  /// The next change is applied and answered with unknown.
  void lose_next_reply();
  /// The next change is not applied and answered with unknown.
  void lose_next_request();
  /// Asked before each change, in place of the two above; empty: no faults.
  void set_change_fault(std::function<ChangeFault(const std::vector<Op>&)> fault);

 private:
  struct Client;
  friend class MemoryZooKeeper;
  /// Shared with handlers on the scheduler and with tokens.
  std::shared_ptr<Client> client_;
};

}  // namespace ukai
