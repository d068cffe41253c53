// SPDX-License-Identifier: BSD-2-Clause
#pragma once

#include <string>

#include "ukai/catalog.h"
#include "ukai/limits.h"
#include "ukai/node_link.h"

namespace ukai {

class ErrorLog;
class LeaseClock;

/// How this host serves its disks; from its configuration.
struct DiskOptions {
  HostId host;
  std::string site;  ///< nearer replicas share a longer prefix of its path
  std::string cluster_id;
  Duration io_deadline = limits::io_deadline_default;  ///< a replica that takes longer is set aside
  Duration io_wait = limits::io_wait_default;          ///< for the only replica, then EIO
  bool auto_heal = true;
  std::uint64_t heal_rate_bytes_per_s = 0;  ///< a disk; 0: unlimited
  Duration clean_interval = limits::clean_interval;
  Duration lease_linger = limits::lease_linger;
  Duration hand_over_wait = limits::hand_over_wait;  ///< a change, for another host to be ready
};

/// What an attached disk needs of the world; all outlive it.
struct DiskServices {
  Catalog& catalog;
  NodeDirectory& nodes;
  Scheduler& scheduler;
  LeaseClock& clock;
  ErrorLog& errors;
};

}  // namespace ukai
