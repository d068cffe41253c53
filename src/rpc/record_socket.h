// SPDX-License-Identifier: BSD-2-Clause
#pragma once

#include <atomic>
#include <cstdint>
#include <memory>
#include <mutex>
#include <string>

#include "base/reactor.h"
#include "base/unique_fd.h"
#include "rpc/inbox.h"
#include "ukai/bytes.h"

namespace ukai {

/// A connected TCP socket that carries records (Inbox) both ways. Its owner is called on the
/// reactor's thread.
///
/// Threads: safe from any, but one write at a time.
class RecordSocket final : public Reactor::Source,
                           public std::enable_shared_from_this<RecordSocket> {
 public:
  class Owner {
   public:
    virtual ~Owner() = default;
    /// A connection that was being made is there.
    virtual void on_connected(RecordSocket& socket) = 0;
    virtual void on_record(RecordSocket& socket, Payload record) = 0;
    /// What write() could not send at once has left.
    virtual void on_sent(RecordSocket& socket) = 0;
    /// The connection is gone, not by our close(). Nothing follows.
    virtual void on_lost(RecordSocket& socket, const std::string& why) = 0;
  };

  RecordSocket(Reactor& reactor, UniqueFd fd, Inbox inbox)
      : reactor_(reactor), fd_(std::move(fd)), inbox_(std::move(inbox)) {}
  ~RecordSocket() override = default;

  /// Begins. The owner (shared: a call to it may be under way while it lets go of us) is kept until
  /// close() or on_lost(). `connecting`: connect(2) has begun and not ended.
  void start(std::shared_ptr<Owner> owner, bool connecting);
  /// False: the rest follows by itself, and then on_sent() or on_lost().
  bool write(Payload record);
  /// Records that have come, and those to come, wait until resume(). On the reactor's thread.
  void pause();
  void resume();
  /// No call of the owner begins after it, except on another thread right now.
  void close();
  /// The longest record taken from now on; on the reactor's thread.
  void allow(std::size_t record_bytes_max) { inbox_.allow(record_bytes_max); }

  void ready(std::uint32_t events) override;

 private:
  bool send_rest();
  void connected();
  void receive();
  void hand_out();
  void lost(const std::string& why);
  void listen_for(std::uint32_t events, bool wanted);
  std::shared_ptr<Owner> owner();
  bool open() const { return open_.load(std::memory_order_acquire); }

  Reactor& reactor_;
  const UniqueFd fd_;

  // By the reactor's thread.
  Inbox inbox_;
  bool connecting_ = false;
  bool paused_ = false;

  // By whoever is writing.
  Payload outgoing_;
  std::uint32_t prefix_ = 0;  ///< its length, as it goes before it
  std::size_t sent_ = 0;      ///< of both

  std::atomic<bool> open_{false};
  std::mutex mutex_;
  std::uint32_t events_ = 0;      // by mutex_: what the reactor waits for
  std::shared_ptr<Owner> owner_;  // by mutex_
};

}  // namespace ukai
