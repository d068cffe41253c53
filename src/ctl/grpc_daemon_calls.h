// SPDX-License-Identifier: BSD-2-Clause
#pragma once

#include <memory>

#include "ctl/daemon_calls.h"
#include "ukai/scheduler.h"

namespace ukai::ctl {

/// DaemonCalls over gRPC. Each call has its own connection, which ends with it: ukaictl seldom asks
/// one daemon twice. No thread is started and nothing is connected before the first call.
/// `scheduler` outlives it; all tasks must have ended before it does. Unary calls are given
/// `timeout`.
std::unique_ptr<DaemonCalls> make_grpc_daemon_calls(Scheduler& scheduler, Duration timeout);

}  // namespace ukai::ctl
