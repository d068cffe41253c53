// SPDX-License-Identifier: BSD-2-Clause
#pragma once

#include <functional>
#include <string>
#include <vector>

#include "disk/disk_core.h"
#include "ukai/disk_change.h"

namespace ukai {

/// Changes the record of an attached disk: members that go missing or come back, and what the
/// operator asks for. One change at a time; each waits as long as ZooKeeper takes, and ends the
/// disk's service when the lease turns out to be lost.
class Membership {
 public:
  explicit Membership(DiskCore& core) : core_(core) {}

  /// Returns when each of `which` is durably recorded as missing; their sessions are over then.
  /// Cheap when they are recorded already. Errors: why the disk is no longer served.
  Task<Result<>> ensure_missing(std::vector<std::size_t> which, std::string reason);
  /// Records a healed member as present, unless its healing has ended meanwhile (busy).
  Task<Result<>> mark_present(std::size_t index);
  /// Records who of the members of an unproven disk is up to date, by what their logs say.
  Task<Result<>> settle(std::vector<Testimony> said);
  /// Somebody refused us as stale: ends the disk's service if the lease is indeed lost.
  Task<void> verify_lease();
  /// Applies an operator's change; a resize grows the map in the same transaction.
  Task<Result<pb::DiskRecord>> change(pb::ChangeDiskRequest request);
  /// Takes a node off the disk for good. Ends the disk's service under this epoch: who the members
  /// are is constant while it lasts, and the next request goes on under a new one.
  Task<Result<pb::DiskRecord>> drop_node(pb::ChangeDiskRequest request);
  /// Gives blocks locations, or takes them off, while the guest goes on. refused: a block would
  /// lose its last in-sync replica. busy: a node has still to delete what it held of the disk.
  Task<Result<pb::DiskRecord>> change_locations(pb::ChangeDiskRequest request);
  /// Reserves the next generation in the record, unless it is.
  Task<Result<>> reserve_generation();
  /// Names what has been frozen.
  Task<Result<pb::DiskRecord>> add_snapshot(pb::Snapshot snapshot, std::string asked_by);
  /// Has the nodes delete versions that nobody can read any more.
  Task<void> collect_versions();
  /// Leaves orders for nodes with the record as it is.
  Task<Result<>> leave_orders(std::vector<Catalog::Order> orders);
  /// Records that a guest may write under this epoch, so that handles of earlier ones die.
  Task<Result<>> begin_guest();
  Task<Result<std::vector<SegmentEntry>>> load_all_segments(const Geometry& geometry);
  /// Records arrived replicas as in sync; those that failed meanwhile are left out. How many came.
  Task<Result<std::size_t>> mark_arrived(std::vector<std::shared_ptr<Arrival>> arrivals);

 private:
  enum class Retry { no, yes };
  /// Writes `changed` (and segments) and takes the outcome over; `yes`: the record was read anew,
  /// decide again.
  Task<Result<Retry>> commit(DiskEntry base, pb::DiskRecord changed,
                             std::vector<SegmentEntry> segments,
                             pb::EventRecord event = pb::EventRecord(),
                             std::vector<Catalog::Order> orders = std::vector<Catalog::Order>());
  Task<Result<std::vector<SegmentEntry>>> load_segments(std::vector<std::uint32_t> wanted);
  Task<Result<>> change_some(pb::ChangeDiskRequest request, BlockRange blocks,
                             std::vector<Catalog::Order>& given);
  void adopt_map(const std::vector<pb::MapSegment>& segments, const std::vector<NodeId>& taken_off,
                 BlockRange blocks);
  Task<void> release(std::vector<Catalog::Order> orders);
  Task<Result<Retry>> after_stale();
  using Edit = std::function<Result<pb::DiskRecord>(pb::DiskRecord)>;
  Task<Result<pb::DiskRecord>> edit(Edit change, pb::EventRecord event);
  std::vector<Catalog::Order> version_orders(const pb::DiskRecord& changed);
  Task<Result<std::vector<SegmentEntry>>> grown_segments(pb::DiskRecord from, pb::DiskRecord to);
  void adopt(DiskEntry entry);
  std::vector<std::string> member_names();

  DiskCore& core_;
};

}  // namespace ukai
