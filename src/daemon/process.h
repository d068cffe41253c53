// SPDX-License-Identifier: BSD-2-Clause
#pragma once

#include <chrono>
#include <cstdint>
#include <string_view>

/// What the two daemons do with their process.
namespace ukai {

/// First thing in main(), before any thread: SIGTERM and SIGINT wait for wait_for_stop(), and a
/// broken pipe is an error, not a death.
void prepare_process();

/// A number that tells this process from those before it; never 0, which means "none" and "not
/// alive".
std::uint64_t random_incarnation();

/// Blocks until SIGTERM or SIGINT.
void wait_for_stop();

/// False: neither has come within `patience`.
bool wait_for_stop(std::chrono::milliseconds patience);

/// As the first; false: `descriptor` has become readable instead.
bool wait_for_stop_or(int descriptor);

/// Tells the kernel that memory for us must not wait for write-back that may end in us (a loop
/// device on the mount, a local node). Needs CAP_SYS_RESOURCE; without it, nothing happens.
void become_io_flusher();

/// Ends the process, status 0, if it still runs after `patience`: everything that must outlive it
/// is on disk or ends with its sessions, and whoever stops it does not want to wait for a dead
/// peer.
void leave_at_the_latest_after(std::chrono::milliseconds patience, std::string_view program);

}  // namespace ukai
