// SPDX-License-Identifier: BSD-2-Clause
#pragma once

#include <memory>

#include "disk/disk_options.h"
#include "ukai/host_disks.h"
#include "ukai/host_peers.h"

namespace ukai {

/// What the disks of a host are made of; all outlive the result.
struct HostServices {
  Catalog& catalog;
  NodeDirectory& nodes;
  Scheduler& scheduler;
  HostPeers& peers;
};

/// The real HostDisks. Must be shut down before it is destroyed.
std::unique_ptr<HostDisks> make_host_disks(HostServices services, DiskOptions options);

}  // namespace ukai
