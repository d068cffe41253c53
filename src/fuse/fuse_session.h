// SPDX-License-Identifier: BSD-2-Clause
#pragma once

#include <functional>
#include <memory>
#include <string>

#include "base/reactor.h"
#include "fuse/fuse_options.h"
#include "ukai/host_disks.h"

namespace ukai {

/// The mount: receives the kernel's requests and answers them from HostDisks.
///
/// Requests are received on the reactor that is given, beside the sockets of the nodes, and on as
/// many more of its own as the options say; an answer leaves from the thread that has it. To stop:
/// unmount(), then HostDisks::shut_down() (which ends what is in flight), then destroy.
class FuseSession {
 public:
  /// Mounts and serves. `ended` is called once, on a thread of the session, should the mount go
  /// without unmount(): somebody else unmounted it. It must not destroy the session.
  /// Errors: as prepare_mount_point; invalid when the kernel refuses the mount. `disks` and
  /// `reactor` outlive the session; it is not destroyed or unmounted on the reactor's thread.
  static Result<std::unique_ptr<FuseSession>> mount(FuseOptions options, HostDisks& disks,
                                                    Reactor& reactor, std::function<void()> ended);
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
