// SPDX-License-Identifier: BSD-2-Clause
#pragma once

#include <chrono>
#include <memory>
#include <string>

#include "base/unique_fd.h"
#include "daemon/host_daemon.h"
#include "ukai_takeover.pb.h"

/// How a mount passes from one ukaid to the next on the same host, so that guests only pause:
///
///   successor                               predecessor
///   hello            ---------------------> checks it
///                                           stops receiving, drains, flushes, ends all but the
///                                           mount
///   starts all but the mount  <------------ answer, with the descriptor of /dev/fuse
///   ready            ---------------------> (if this does not come: goes on with the mount itself)
///   receives         <--------------------- done; ends without unmounting
///
/// The socket is in the state folder, for the owner alone. Threads: one.
namespace ukai {

/// One end of the connection. Errors: unreachable (the other end has gone, or is silent for too
/// long), invalid (it does not speak this).
class TakeoverSocket {
 public:
  explicit TakeoverSocket(UniqueFd socket) : socket_(std::move(socket)) {}

  /// `descriptor` goes along; -1: none.
  Result<> send(const google::protobuf::MessageLite& message, int descriptor = -1);
  /// `descriptor` becomes the one that came along.
  Result<> receive(google::protobuf::MessageLite& out, std::chrono::milliseconds patience,
                   UniqueFd* descriptor = nullptr);

 private:
  Result<> read(std::string& out, std::size_t bytes, UniqueFd* descriptor);

  UniqueFd socket_;
};

/// The running ukaid, as its successor sees it.
class Predecessor final : public MountSource {
 public:
  /// not_found: none runs with this state folder, or one from before there was a takeover.
  static Result<std::unique_ptr<Predecessor>> find(const HostConfig& config);

  /// Errors: refused (the predecessor goes on, and says why), as the socket's.
  Result<Inherited> take() override;
  Result<> keep() override;

 private:
  Predecessor(std::string state_dir, pb::TakeoverHello hello)
      : state_dir_(std::move(state_dir)), hello_(std::move(hello)) {}
  Result<UniqueFd> connect() const;

  const std::string state_dir_;
  const pb::TakeoverHello hello_;
  TakeoverSocket socket_{UniqueFd()};
};

/// Where a running ukaid listens for its successor.
class SuccessorListener {
 public:
  /// Replaces what a predecessor has left there. Call with the state folder's lock held. Errors:
  /// invalid.
  static Result<SuccessorListener> open(const HostConfig& config);

  int descriptor() const { return socket_.get(); }
  /// Whoever has connected, its hello checked; one that does not fit has been told why.
  Result<TakeoverSocket> accept();

 private:
  SuccessorListener(UniqueFd socket, pb::TakeoverHello own)
      : socket_(std::move(socket)), own_(std::move(own)) {}

  UniqueFd socket_;
  pb::TakeoverHello own_;
};

enum class HandOver {
  kept,     ///< the successor did not come that far: the mount is served here, as before
  resumed,  ///< it failed later: the mount is served here again, by another daemon
  gone,     ///< the successor serves it: end
  lost,     ///< a stop was asked for while nobody served it; it has been taken away
};

/// Hands the mount of `daemon` to the successor at the other end.
HandOver hand_over(TakeoverSocket successor, const HostConfig& config,
                   const std::function<void()>& unmounted, std::unique_ptr<HostDaemon>& daemon);

}  // namespace ukai
