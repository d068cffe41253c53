// SPDX-License-Identifier: BSD-2-Clause
#pragma once

#include <condition_variable>
#include <deque>
#include <map>
#include <memory>
#include <mutex>
#include <string>
#include <vector>

#include "metadata/callbacks.h"
#include "metadata/metadata_address.h"
#include "metadata/zookeeper_coordination.h"
#include "metadata/zookeeper_session.h"

namespace ukai::zk {

/// One request of a user, from the call to its answer.
struct Call {
  enum class Kind { get, children, commit, sync };

  Call(Kind its_kind, std::string its_path) : kind(its_kind), path(std::move(its_path)) {}
  explicit Call(std::vector<Op> its_ops) : kind(Kind::commit), ops(std::move(its_ops)) {}

  const Kind kind;
  std::string path;     ///< at the server, chroot included
  std::vector<Op> ops;  ///< of a commit; paths at the server
  OneShot<Result<Answer>> answer;

  // By the client's mutex.
  Scheduler::TimerId timer{};
  bool sent = false;
  bool answered = false;

  bool change() const { return kind == Kind::commit; }
};

/// Keeps one ZooKeeper session alive, or makes the next one, and carries calls and watches over it.
///
/// A call is handed to the C client only while the session is known to be connected; before, it
/// waits here, where a time-out surely means that it was not applied. Calls of one thread reach the
/// server in their order, so a read sees the fate of a change whose answer was lost: the server
/// works through a session's requests in order, refuses those of an expired session, and closes a
/// session's former connection before it serves the next one.
///
/// shared_ptr: handlers on the scheduler and watch tokens refer to it, and may outlive its user.
/// Threads: safe from any. mutex_ is never held while user code runs.
class Client final : public SessionObserver, public std::enable_shared_from_this<Client> {
 public:
  Client(ZooKeeperOptions options, MetadataAddress address, Scheduler& scheduler);
  ~Client() override = default;

  Result<> start();
  void shut_down();

  void submit(const std::shared_ptr<Call>& call);
  std::unique_ptr<Coordination::Watch> watch(const std::string& path, bool children,
                                             std::function<void()> changed);
  std::unique_ptr<Coordination::Watch> listen(std::function<void(SessionState)> listener);

  SessionState state() const;
  std::int64_t session_id() const;
  std::int64_t session_timeout_ms() const;

  std::string at_server(const std::string& path) const;
  /// The path as the user knows it.
  std::string without_chroot(const std::string& path) const;

 private:
  enum class WatchKind { existence, children };
  /// All watchers of one path and kind share one watch at the server. It stays in the table until
  /// it has fired after the last watcher left, because the C client keeps it until then.
  struct WatchEntry {
    std::uint64_t id;
    std::string path;
    WatchKind kind;
    bool armed = false;  // at the server, or on the way there
    std::vector<std::shared_ptr<Watcher>> watchers;
  };
  using WatchKey = std::pair<std::string, WatchKind>;

  // SessionObserver
  void session_changed(Session& session, SessionEvent event) override;
  void watch_fired(Session& session, std::uint64_t watch) override;

  // Functions named …_locked are called with mutex_ held.
  void connected_locked();
  void disconnected_locked();
  void ended_locked();
  void ready_locked();
  void create_chroot_locked();
  void set_state_locked(SessionState state);
  void renew();

  void send_locked(const std::shared_ptr<Call>& call);
  int hand_over_locked(const std::shared_ptr<Call>& call);
  void send_waiting_locked();
  void answer_locked(Call& call, Result<Answer> result);
  void answered(const std::shared_ptr<Call>& call, Answer answer);
  void repeat_soon_locked(const std::shared_ptr<Call>& call);
  void timed_out(const std::shared_ptr<Call>& call);

  WatchEntry& entry_locked(const std::string& path, WatchKind kind);
  void arm_locked(WatchEntry& entry);
  void armed(const Session* session, std::uint64_t watch, int rc);
  void arm_children_locked(const std::string& path);
  void arm_all_locked();
  void disarm_all_locked();
  void notify_locked(const WatchEntry& entry);
  void forget(const std::string& path, bool children, const std::shared_ptr<Watcher>& watcher);

  // Constant after construction.
  const ZooKeeperOptions options_;
  const MetadataAddress address_;
  Scheduler& scheduler_;
  const std::shared_ptr<SerialQueue> events_;  // listeners and watchers, in order

  mutable std::mutex mutex_;  // guards what follows
  std::condition_variable renewed_;
  std::unique_ptr<Session> session_;
  SessionState state_ = SessionState::connecting;
  std::int64_t session_id_ = 0;
  std::int64_t session_timeout_ms_ = 0;
  bool ready_ = false;  // connected, and the chroot is there
  bool chroot_checked_ = false;
  bool renew_queued_ = false;
  bool renewing_ = false;
  bool closing_ = false;
  std::deque<std::shared_ptr<Call>> waiting_;
  std::vector<std::shared_ptr<SessionListener>> listeners_;
  std::map<WatchKey, std::uint64_t> watch_ids_;
  std::map<std::uint64_t, WatchEntry> watches_;
  std::uint64_t next_watch_ = 1;
};

}  // namespace ukai::zk
