// SPDX-License-Identifier: BSD-2-Clause
#pragma once

#include <atomic>
#include <memory>

#include "base/async.h"
#include "daemon/state_folder.h"
#include "ukai/catalog.h"

namespace ukai {

/// Keeps this host's mark in the registry: makes it, and makes it anew after each loss of the
/// coordination session. The mark of a process of ours that was killed is replaced at once; anybody
/// else's means that another host has our id.
///
/// Threads: make, start and destroy on one that may block and is none of the scheduler's.
class HostRegistration {
 public:
  /// All outlive it. `record` lacks nothing but its incarnation, which is chosen here.
  HostRegistration(Catalog& catalog, Scheduler& scheduler, StateFolder& state,
                   pb::HostRecord record);
  /// The mark itself goes with the coordination session.
  ~HostRegistration();

  /// Registers, and from then on by itself. busy: another live ukaid has this id. Once.
  Task<Result<>> start();

 private:
  Task<Result<>> register_now(bool take_over);
  Task<void> keep_registered();

  Catalog& catalog_;
  Scheduler& scheduler_;
  StateFolder& state_;
  pb::HostRecord record_;
  std::int64_t registered_session_ = 0;  ///< by start(), then by keep_registered() alone
  std::atomic<bool> stopping_ = false;
  const std::shared_ptr<Notifier> changed_;  ///< shared with a watch callback that may end late
  std::unique_ptr<Coordination::Watch> session_watch_;
  TaskScope scope_;
};

}  // namespace ukai
