// SPDX-License-Identifier: BSD-2-Clause
#pragma once

#include <memory>

#include "ctl/environment.h"

namespace ukai::ctl {

/// The real cluster: ZooKeeper and gRPC. invalid: the servers' address has a wrong form;
/// unreachable: no server's name resolves. Does not wait for a connection.
Result<std::unique_ptr<Cluster>> connect_cluster(const ConnectOptions& options);

}  // namespace ukai::ctl
