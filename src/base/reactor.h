// SPDX-License-Identifier: BSD-2-Clause
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <mutex>
#include <string>
#include <thread>
#include <unordered_map>
#include <vector>

#include "base/unique_fd.h"

namespace ukai {

/// One thread that waits for file descriptors and serves whoever is interested in them. The guest's
/// requests (FUSE) and the nodes' answers (sockets) share it, so that a request needs no hand-over
/// between threads on its way out, and none on its way back. Whatever runs on it must not block.
///
/// A *turn* is what one wake-up finds to do. What is better done once for many (sending what has
/// gathered) waits for the turn's end.
///
/// Threads: safe from any, where nothing else is said.
class Reactor {
 public:
  /// Who is interested in a descriptor. The reactor keeps it alive until it is removed and every
  /// call has returned.
  class Source {
   public:
    virtual ~Source() = default;
    /// `events` as epoll has them, level-triggered. On the reactor's thread. A call may still be
    /// under way when remove() returns elsewhere.
    virtual void ready(std::uint32_t events) = 0;
  };
  /// Somebody who wants to be told of the end of a turn.
  class TurnEnd {
   public:
    virtual ~TurnEnd() = default;
    virtual void turn_ended() = 0;
  };

  explicit Reactor(std::string thread_name);
  /// Ends the thread; what was posted and has not run never does. Not on the reactor's own thread.
  ~Reactor();

  /// The descriptor stays open until it is removed.
  void add(int fd, std::uint32_t events, std::shared_ptr<Source> source);
  void change(int fd, std::uint32_t events);
  void remove(int fd);
  void post(std::function<void()> work);

  /// Are we on its thread?
  bool is_current() const { return std::this_thread::get_id() == thread_id_; }
  /// Once, at the end of this turn. On the reactor's thread only.
  void at_turn_end(std::shared_ptr<TurnEnd> who) { ending_.push_back(std::move(who)); }
  /// As if the turn ended here. On the reactor's thread only.
  void end_turn();

 private:
  struct Entry {
    std::uint32_t use = 0;  ///< tells an event for an earlier owner of the number
    std::shared_ptr<Source> source;
  };

  void run();
  void dispatch(std::uint64_t key, std::uint32_t events);
  void run_posted();
  std::uint64_t key_of(int fd, std::uint32_t use) const {
    return std::uint64_t{use} << 32 | static_cast<std::uint32_t>(fd);
  }

  const UniqueFd epoll_;
  const UniqueFd wake_;
  std::vector<std::shared_ptr<TurnEnd>> ending_;  // by the thread

  std::mutex mutex_;
  // All below by mutex_.
  bool stopping_ = false;
  std::uint32_t uses_ = 0;
  std::unordered_map<int, Entry> entries_;
  std::vector<std::function<void()>> posted_;

  std::thread::id thread_id_;  // constant once the constructor has returned
  std::thread thread_;
};

}  // namespace ukai
