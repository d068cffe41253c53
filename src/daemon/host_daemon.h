// SPDX-License-Identifier: BSD-2-Clause
#pragma once

#include <functional>
#include <memory>
#include <string>

#include "daemon/host_config.h"

namespace ukai {

/// A hypervisor host's daemon: all of ukaid but main(). The mount, the disks behind it, the servers
/// for ukaictl and other hosts, and the storage node if the host has one.
///
/// Threads: start, stop and destroy on one, which may block.
class HostDaemon {
 public:
  /// Returns when the disks are mounted and the host is registered; otherwise one clear line, and
  /// nothing is left behind. `unmounted` is called, on some thread, when somebody else has taken
  /// the mount away: there is nothing left to do but to stop.
  static Result<std::unique_ptr<HostDaemon>> start(const HostConfig& config,
                                                   std::function<void()> unmounted);
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
