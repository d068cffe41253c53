// SPDX-License-Identifier: BSD-2-Clause
#pragma once

#include <functional>
#include <memory>
#include <string>

#include "daemon/host_config.h"
#include "fuse/fuse_session.h"

namespace ukai {

/// A mount that is there already, and whoever serves it so far.
class MountSource {
 public:
  virtual ~MountSource() = default;
  /// Nobody serves it from now on, but whoever did goes on with it should this one go.
  virtual Result<Inherited> take() = 0;
  /// This one serves it. An error: it may not, somebody else does.
  virtual Result<> keep() = 0;
};

/// A hypervisor host's daemon: all of ukaid but main(). The mount, the disks behind it, the servers
/// for ukaictl and other hosts, and the storage node if the host has one.
///
/// Threads: start, stop and destroy on one, which may block.
class HostDaemon {
 public:
  /// Returns when the disks are mounted and the host is registered; otherwise one clear line, and
  /// nothing is left behind. `unmounted` is called, on some thread, when somebody else has taken
  /// the mount away: there is nothing left to do but to stop.
  /// With `source`, its mount is gone on with instead of a new one; errors leave it alone.
  static Result<std::unique_ptr<HostDaemon>> start(const HostConfig& config,
                                                   std::function<void()> unmounted,
                                                   MountSource* source = nullptr);
  /// Stops serving the mount and lets it go; destroy the daemon before somebody else begins.
  /// Errors, after which all is as before: busy, unreachable, as flushes.
  Result<Inherited> give_up_mount();
  /// Unmounts, makes durable what was acknowledged, gives the leases back, then ends everything
  /// else.
  ~HostDaemon();

  const std::string& mount_point() const;
  const ServiceAddresses& addresses() const;

 private:
  struct Impl;
  explicit HostDaemon(std::unique_ptr<Impl> impl);
  std::unique_ptr<Impl> impl_;
};

}  // namespace ukai
