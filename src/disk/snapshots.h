// SPDX-License-Identifier: BSD-2-Clause
#pragma once

#include <set>

#include "disk/connector.h"
#include "disk/disk_core.h"
#include "disk/flusher.h"
#include "disk/membership.h"

namespace ukai {

/// Snapshots of an attached disk (design.md section 8; protocol.md, "Snapshots").
class Snapshots {
 public:
  Snapshots(DiskCore& core, Membership& membership, Connector& connector, Flusher& flusher)
      : core_(core), membership_(membership), connector_(connector), flusher_(flusher) {}

  // -- freezing, step by step, so that several disks can be frozen at one instant
  /// Reserves the next generation, tells the nodes, and flushes what is there.
  Task<Result<>> prepare();
  /// Keeps changes out once those that are under way have ended; holds() is false when they do not
  /// by `until`.
  Task<RangeLocks::Guard> hold(TimePoint until);
  /// While they are kept out: from here on they go to the next generation. The frozen one.
  Generation switch_over();
  /// What was frozen is durable on every present member.
  Task<Result<>> seal();
  /// What was frozen has a name. Otherwise nodes delete what nobody else needs.
  Task<void> let_go(bool named);

  Task<Result<pb::DiskRecord>> name(Generation frozen, std::string name, std::string asked_by);
  Task<Result<pb::DiskRecord>> remove(pb::ChangeDiskRequest request);
  Task<Result<pb::DiskRecord>> roll_back(pb::ChangeDiskRequest request);
  /// A new disk of what `frozen` holds, of that size; durable on every node whose replica is in
  /// sync.
  Task<Result<pb::DiskRecord>> clone(pb::CloneDiskRequest request, Generation frozen,
                                     std::uint64_t size_bytes);

  /// One at a time, from before prepare() to after name() or let_go().
  Task<AsyncMutex::Guard> turn() { return core_.snapshot_mutex.lock(); }

 private:
  Task<std::set<NodeId>> clone_on_nodes(const std::string& made, Generation frozen);
  Task<void> take_back(const std::string& made, std::string name, const std::set<NodeId>& nodes);

  DiskCore& core_;
  Membership& membership_;
  Connector& connector_;
  Flusher& flusher_;
};

}  // namespace ukai
