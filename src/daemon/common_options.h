// SPDX-License-Identifier: BSD-2-Clause
#pragma once

#include <string>

#include "base/config.h"
#include "base/log.h"
#include "metadata/zookeeper_coordination.h"

/// What the configuration files of both daemons have in common. Mistakes are left in `config`.
namespace ukai {

/// [metadata] servers, session_timeout_ms.
ZooKeeperOptions read_metadata_options(ConfigReader& config);

/// [log] level, file.
log::Options read_log_options(ConfigReader& config);

/// Where a daemon listens, and how others reach it.
struct ListenOptions {
  std::string data;  ///< host:port, port 0: the kernel chooses
  std::string control;
  std::string advertise;  ///< host that others use; empty: the one it listens on

  /// The address to publish for `listen` that has got `port`.
  std::string published(const std::string& listen, std::uint16_t port) const;
};

/// `section`.listen, .control_listen, .advertise. Without the second the kernel chooses a port.
ListenOptions read_listen_options(ConfigReader& config, const std::string& section);

}  // namespace ukai
