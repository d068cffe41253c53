// SPDX-License-Identifier: BSD-2-Clause
#pragma once

#include <memory>
#include <string>

#include "base/log.h"
#include "daemon/common_options.h"
#include "daemon/node_service.h"

namespace ukai {

/// Everything in ukainode's configuration file.
struct NodeConfig {
  NodeServiceOptions node;
  ListenOptions listen;
  ZooKeeperOptions metadata;
  log::Options log;
};

/// One clear line with file, line and key when something is wrong.
Result<NodeConfig> load_node_config(const std::string& path);

/// A storage node of its own: all of ukainode but main().
/// Threads: start and destroy on one, which may block.
class NodeDaemon {
 public:
  /// Returns when the node serves and is registered; otherwise one clear line, and nothing is left
  /// behind.
  static Result<std::unique_ptr<NodeDaemon>> start(const NodeConfig& config);
  /// Ends streams and calls, then the coordination session, so that the node is known to be gone.
  ~NodeDaemon();

  const ServiceAddresses& addresses() const;

 private:
  struct Impl;
  explicit NodeDaemon(std::unique_ptr<Impl> impl);
  std::unique_ptr<Impl> impl_;
};

}  // namespace ukai
