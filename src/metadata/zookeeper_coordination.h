// SPDX-License-Identifier: BSD-2-Clause
#pragma once

#include <memory>
#include <string>

#include "ukai/coordination.h"
#include "ukai/limits.h"
#include "ukai/scheduler.h"

namespace ukai {

struct ZooKeeperOptions {
  std::string address;  ///< as parse_metadata_address() takes it
  Duration session_timeout = limits::zookeeper_session_default;
  /// A request that takes longer fails: unreachable, or unknown when it was a change and sent.
  Duration request_timeout = limits::metadata_request_default;
  bool create_chroot = true;  ///< else requests fail with not_found until somebody creates it
};

/// Coordination on a real ZooKeeper. Connects in the background, for ever; when its session has
/// expired it opens a new one by itself. Calls that were not sent by then fail when they are
/// changes (whoever made them must look again under the new session) and go on when they are reads.
///
/// `scheduler` outlives it. The destructor ends the session, so that its ephemerals vanish at once,
/// and lets all calls under way fail with shut_down.
/// Errors: invalid (the address), unreachable (no host name of it resolves).
Result<std::unique_ptr<Coordination>> make_zookeeper_coordination(ZooKeeperOptions options,
                                                                  Scheduler& scheduler);

}  // namespace ukai
