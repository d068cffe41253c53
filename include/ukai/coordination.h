// SPDX-License-Identifier: BSD-2-Clause
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "ukai/result.h"
#include "ukai/task.h"

namespace ukai {

/// What ZooKeeper says about a znode.
struct Stat {
  std::int32_t version = 0;          ///< of the data; compare-and-set compares this
  std::int64_t created_zxid = 0;     ///< tells a znode from a later one with the same path
  std::int64_t ephemeral_owner = 0;  ///< session id, 0 when persistent
  std::int32_t children = 0;
};

struct Znode {
  std::string data;
  Stat stat;
};

inline constexpr std::int32_t any_version = -1;

/// One step of a transaction.
struct Op {
  enum class Kind { create, create_ephemeral, create_sequential, set, remove, check };
  Kind kind;
  std::string path;
  std::string data;                    // create, set
  std::int32_t version = any_version;  // set, remove, check

  static Op create(std::string path, std::string data);
  static Op create_ephemeral(std::string path, std::string data);
  /// ZooKeeper appends ten digits to `path`, larger ones with each child of the folder.
  static Op create_sequential(std::string path, std::string data);
  static Op set(std::string path, std::string data, std::int32_t version);
  static Op remove(std::string path, std::int32_t version = any_version);
  static Op check(std::string path, std::int32_t version);
};

enum class SessionState {
  connecting,  ///< never connected yet
  connected,
  suspended,  ///< connection lost; the session may live on at the server
  expired,    ///< the session is gone with its ephemerals; a new one is being made by itself
};

/// The tree of small records all daemons agree on: ZooKeeper, or memory in tests. Paths are
/// absolute below the chroot ("/ukai/disks/…").
///
/// Errors of all calls: not_found (no such path, or no parent), exists, stale (version differs),
/// busy (has children), unreachable (not applied: we were not connected when asked, or a read),
/// unknown (a change was sent and the connection lost: applied or not, read back), shut_down.
/// The calls wait for a connection no longer than the implementation's request timeout.
///
/// Threads: safe from any; tasks resume on a scheduler thread, never on the client's own.
class Coordination {
 public:
  virtual ~Coordination() = default;

  virtual Task<Result<Znode>> get(std::string path) = 0;
  virtual Task<Result<std::vector<std::string>>> children(std::string path) = 0;
  /// Applies all or none. The error names the first step that failed.
  virtual Task<Result<>> commit(std::vector<Op> ops) = 0;
  /// What is read afterwards is at least as new as anything committed before the call, anywhere.
  virtual Task<Result<>> sync() = 0;

  /// Calls `changed` (on a scheduler thread) at least once after each change of the data or
  /// existence of `path`, or of its list of children when `children` is set, and after each
  /// new connection; changes close together may be reported once. Stays armed until the returned
  /// token is destroyed; no call starts after that, and one that runs on another thread has ended
  /// by then: destroy it with no lock held that `changed` takes.
  class Watch {
   public:
    virtual ~Watch() = default;
  };
  virtual std::unique_ptr<Watch> watch(std::string path, bool children,
                                       std::function<void()> changed) = 0;

  virtual SessionState session_state() const = 0;
  /// Id of the current session; new after an expiry. 0 before the first connection.
  virtual std::int64_t session_id() const = 0;
  /// Time after which the server ends a silent session, as negotiated (milliseconds).
  virtual std::int64_t session_timeout_ms() const = 0;
  /// Calls `listener` (on a scheduler thread) on each change of session_state().
  virtual std::unique_ptr<Watch> on_session(std::function<void(SessionState)> listener) = 0;
};

}  // namespace ukai
