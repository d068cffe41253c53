// SPDX-License-Identifier: BSD-2-Clause
#pragma once

#include <chrono>
#include <functional>
#include <memory>
#include <string>

#include "base/reactor.h"
#include "base/unique_fd.h"
#include "fuse/fuse_options.h"
#include "ukai/host_disks.h"

namespace ukai {

/// A mount that goes on without whoever has served it so far.
struct Inherited {
  pb::MountState state;
  UniqueFd device;  ///< /dev/fuse; when the last copy closes, the mount is dead
};

/// The mount: receives the kernel's requests and answers them from HostDisks.
///
/// Requests are received on the reactor that is given, beside the sockets of the nodes, and on as
/// many more of its own as the options say (with one, on a helper's as well while two long requests
/// wait that a local replica answers); an answer leaves from the thread that has it. To stop:
/// unmount(), then HostDisks::shut_down() (which ends what is in flight), then destroy.
class FuseSession {
 public:
  /// Mounts and serves. `ended` is called once, on a thread of the session, should the mount go
  /// without unmount(): somebody else unmounted it. It must not destroy the session.
  /// Errors: as prepare_mount_point; invalid when the kernel refuses the mount. `disks` and
  /// `reactor` outlive the session; it is not destroyed or unmounted on the reactor's thread.
  static Result<std::unique_ptr<FuseSession>> mount(FuseOptions options, HostDisks& disks,
                                                    Reactor& reactor, std::function<void()> ended);
  /// Makes ready to serve a mount that hand_over() has let go, here or in another process; begin()
  /// serves it, and until then it is not this session's. The options are those that it was mounted
  /// with. Errors: invalid, and as HostDisks::resume.
  static Result<std::unique_ptr<FuseSession>> adopt(FuseOptions options, HostDisks& disks,
                                                    Reactor& reactor, Inherited from,
                                                    std::function<void()> ended);
  Result<> begin();
  /// Receives nothing more, waits for what is in flight, makes durable what was written, and lets
  /// the mount go: the kernel's requests wait for whoever adopts it. Errors, after which this
  /// session serves it as before: busy (requests are still in flight after `patience`), as flushes.
  Result<Inherited> hand_over(std::chrono::milliseconds patience);
  /// Unmounts if need be and waits for the requests in flight.
  ~FuseSession();
  FuseSession(const FuseSession&) = delete;
  FuseSession& operator=(const FuseSession&) = delete;

  /// Takes the mount away (from view only while somebody uses it), stops receiving and closes all
  /// file handles; requests in flight are still answered. Repeating it does nothing.
  void unmount();

  /// Absolute.
  const std::string& mount_point() const;

 private:
  struct Impl;
  explicit FuseSession(std::unique_ptr<Impl> impl);
  std::unique_ptr<Impl> impl_;
};

}  // namespace ukai
