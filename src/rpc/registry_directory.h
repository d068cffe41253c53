// SPDX-License-Identifier: BSD-2-Clause
#pragma once

#include <memory>
#include <string>

#include "rpc/transport.h"
#include "ukai/catalog.h"
#include "ukai/node_link.h"

namespace ukai {

/// The node inside this process, which needs no connection.
struct LocalNode {
  NodeId id;
  std::shared_ptr<NodeLink> link;  ///< nullptr: there is none
};

/// NodeDirectory that follows the registry in the coordination service. Nodes that run are
/// connected to, and measured every limits::distance_interval, whoever uses them; a node that
/// anybody has asked for stays so, whether or not it is alive; a node that has moved gets a new
/// link.
///
/// While the registry cannot be read, what was known last stays.
/// Threads: safe from any; the destructor must not run on a scheduler thread. Everything passed in
/// outlives it.
class RegistryDirectory final : public NodeDirectory {
 public:
  RegistryDirectory(Catalog& catalog, Scheduler& scheduler, Transport& transport, LocalNode local);
  ~RegistryDirectory() override;

  /// Reads the registry for the first time and follows it from then on, even when that failed.
  Task<Result<>> start();

  std::optional<Entry> find(const NodeId& node) const override;
  std::unique_ptr<Subscription> subscribe(std::function<void(NodeId)> changed) override;

 private:
  class State;
  std::shared_ptr<State> state_;  // shared with callbacks of links, which may outlast us
};

}  // namespace ukai
