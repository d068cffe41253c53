// SPDX-License-Identifier: BSD-2-Clause
#pragma once

#include <optional>
#include <string>

#include "base/log.h"
#include "daemon/common_options.h"
#include "daemon/node_service.h"
#include "disk/disk_options.h"
#include "fuse/fuse_options.h"

namespace ukai {

/// Everything in ukaid's configuration file.
struct HostConfig {
  std::string id;
  std::string site;
  std::string state_dir;
  ListenOptions listen;
  FuseOptions fuse;
  DiskOptions disk;  ///< but for what is known only later: the cluster's id
  std::optional<NodeServiceOptions> node;
  ZooKeeperOptions metadata;
  log::Options log;
};

/// One clear line with file, line and key when something is wrong.
Result<HostConfig> load_host_config(const std::string& path);

}  // namespace ukai
