// SPDX-License-Identifier: BSD-2-Clause
#pragma once

#include <set>
#include <vector>

#include "disk/copy.h"
#include "disk/disk_core.h"
#include "disk/membership.h"

namespace ukai {

class Healer;

/// Keeps a session with each member node: fences it, decides how it may come back (protocol.md,
/// "Streams, sequences, fencing"), and makes replicas equal after an unclean end of the last lease.
class Connector {
 public:
  Connector(DiskCore& core, Membership& membership) : core_(core), membership_(membership) {}

  /// First fences, at once, each for at most the I/O deadline; then the reconciliation of what the
  /// last holder left dirty. Service may begin when it returns.
  Task<Result<>> start();
  /// Of an unproven disk: finds out from the logs of all members who is up to date, and records it.
  /// unreachable: not all of them can be asked. refused: they contradict each other.
  Task<Result<>> prove();
  /// Runs until the disk stops: opens sessions again, with back-off, and starts healing; with
  /// members that come later as well.
  Task<void> keep_all_open(Healer& healer);
  /// Tells every open member who is missing, and how large the disk is; true when all present ones
  /// have heard it (and folded their active sets).
  Task<bool> tell_missing();

 private:
  struct Fenced {
    bool ok = false;
    bool first = false;      ///< under this epoch
    bool restarted = false;  ///< another process answers than did last time
    bool crashed = false;    ///< acknowledged changes may be lost on it
    bool had_active = false;
  };
  enum class Need { nothing, session, healing, end };

  pb::FenceRequest begin_fence(std::size_t index, const NodeDirectory::Entry& found);
  Task<Result<pb::FenceReply>> survey(std::size_t index);
  Task<Fenced> fence(std::size_t index);
  void void_healing_locked(std::size_t crashed);
  Fenced take_fence(std::size_t index, const pb::FenceReply& reply);
  Task<bool> admit(std::size_t index, Fenced fenced);
  Task<bool> join_late(std::size_t index);
  Task<Result<>> reconcile(std::vector<Fenced> fenced);
  Task<Result<>> reconcile_block(BlockVersion version);
  Task<Result<std::vector<BlockVersion>>> active_of(std::size_t index);
  Task<void> keep_open(std::size_t index, Healer& healer);
  Need need_of(std::size_t index);
  TimePoint next_look(std::size_t index);
  void set_state(std::size_t index, Replica::State state);

  DiskCore& core_;
  Membership& membership_;
  std::set<BlockVersion> left_dirty_;  ///< by the last holder; constant once started
  AsyncMutex telling_;
};

}  // namespace ukai
