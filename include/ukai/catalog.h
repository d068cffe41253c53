// SPDX-License-Identifier: BSD-2-Clause
#pragma once

#include <atomic>
#include <optional>
#include <string>
#include <vector>

#include "ukai/coordination.h"
#include "ukai/scheduler.h"
#include "ukai/types.h"
#include "ukai_records.pb.h"

namespace ukai {

struct Probe;  // src/metadata/catalog_io.h

/// A disk's record and the znode version that the next compare-and-set must match.
struct DiskEntry {
  pb::DiskRecord record;
  std::int32_t version = 0;
};

struct SegmentEntry {
  pb::MapSegment segment;
  std::int32_t version = 0;
};

/// The right to change one disk. Valid while the znode that carries it exists with this zxid.
struct Lease {
  DiskId disk;
  Epoch epoch{};
  pb::LeaseRecord::Kind kind = pb::LeaseRecord::GUEST;
  std::string op;               ///< operation id written into the lease znode
  std::int64_t session_id = 0;  ///< ZooKeeper session that owns it
};

struct LeaseInfo {
  pb::LeaseRecord record;
  Stat stat;
};

struct NodeInfo {
  pb::NodeRecord record;
  std::optional<pb::NodeAlive> alive;  ///< empty: not running, or cut off
  std::string damage;  ///< not empty: its record does not parse (`record` has the id only)
};

/// One line of a list of disks; a damaged record spoils its own line only.
struct DiskListing {
  DiskName name;
  Result<DiskEntry> entry;
};

struct EventEntry {
  std::string key;         ///< larger for later ones
  pb::EventRecord record;  ///< of a damaged one, only `text` says so
};

/// Typed access to everything in Coordination (design.md section 4), and the rules for changing it:
/// records of a disk change only under its lease; what belongs together is one transaction; a
/// change whose outcome the connection swallowed is read back by its operation id before it is
/// tried again.
///
/// Errors: as Coordination's, with `unknown` only when read-back was not possible within the
/// request timeout; corrupt when a record does not parse (the message names the path).
/// Threads: safe from any.
class Catalog {
 public:
  /// Both outlive the catalog.
  Catalog(Coordination& coordination, Scheduler& scheduler);

  /// Makes /ukai and its folders when absent, and the cluster's id; returns the id.
  Task<Result<std::string>> ensure_layout();

  /// not_found: nothing has laid out the tree here (a wrong chroot, say); creates nothing.
  Task<Result<std::string>> cluster_id();

  // -- who did what
  /// Changes made through this catalog leave events in the name of `who` ("alice@admin", "h1"), in
  /// the same transaction. Empty, the default: they leave none. Before anything else is called.
  void set_author(std::string who) { author_ = std::move(who); }
  /// The newest ones, newest first.
  Task<Result<std::vector<EventEntry>>> events(std::size_t newest_max);
  /// Of something that is no single change of a disk. Best effort: the caller has done it already.
  Task<Result<>> add_event(pb::EventRecord event);

  // -- disks
  Task<Result<DiskId>> find_disk(DiskName name);
  /// All disks with their records, sorted by name; requests are pipelined.
  Task<Result<std::vector<DiskListing>>> disks();
  Task<Result<std::vector<DiskName>>> disk_names();  ///< sorted
  Task<Result<DiskEntry>> load_disk(DiskId disk);
  /// Record, name and all segments in one transaction. exists: the name is taken. invalid: more
  /// segments or bytes than a transaction takes.
  Task<Result<>> create_disk(pb::DiskRecord record, std::vector<pb::MapSegment> segments);
  /// Removes everything of the disk and leaves an order to delete at each member node, in one
  /// transaction under `lease` (which ends with it). busy: a host has it open for reading.
  Task<Result<>> delete_disk(Lease lease, DiskEntry entry);
  /// Replaces the record if its version is still entry.version and `lease` still stands; updates
  /// `entry`'s version. A changed name moves the name's record in the same transaction.
  /// stale: the version differs or the lease is gone (lease_stands() tells which).
  Task<Result<DiskEntry>> update_disk(Lease lease, DiskEntry entry, pb::DiskRecord changed);
  /// The same with map segments: those with version -1 are created.
  /// `event`: what it was for and who asked, in place of what a look at the records tells.
  /// `orders`: to delete what has lost its location, for nodes that are registered.
  struct Order {
    NodeId node;
    std::string key;
    pb::TrashRecord record;
  };
  Task<Result<DiskEntry>> update_disk_and_map(Lease lease, DiskEntry entry, pb::DiskRecord changed,
                                              std::vector<SegmentEntry> segments,
                                              pb::EventRecord event = pb::EventRecord(),
                                              std::vector<Order> orders = std::vector<Order>());
  /// Makes the disk smaller, in one transaction: `last` is the last segment from now on, those
  /// after it (as many as `entry`'s size has) are removed. busy: a host has it open for reading.
  Task<Result<DiskEntry>> shrink_disk(Lease lease, DiskEntry entry, pb::DiskRecord changed,
                                      SegmentEntry last, std::vector<Order> orders);
  Task<Result<SegmentEntry>> load_segment(DiskId disk, std::uint32_t segment);

  // -- leases
  /// Takes the lease and increments the record's epoch in one transaction; returns the new record
  /// too. busy: somebody holds it (the message says who, since when).
  struct Taken {
    Lease lease;
    DiskEntry entry;
    std::uint64_t guest_before = 0;  ///< the record's guest_epoch until then
  };
  Task<Result<Taken>> take_lease(DiskId disk, std::string holder, pb::LeaseRecord::Kind kind);
  /// Not an error when it is gone already.
  Task<Result<>> release_lease(Lease lease);
  Task<Result<std::optional<LeaseInfo>>> lease_of(DiskId disk);
  /// Removes somebody's lease by force: the operator's word, or a restarted daemon's own former
  /// one.
  Task<Result<>> break_lease(DiskId disk, std::int64_t created_zxid);
  /// True while the znode of `lease` is there with its op id.
  Task<Result<bool>> lease_stands(Lease lease);

  // -- nodes and hosts
  /// Writes the record (keeping admin_state) and the ephemeral alive mark, replacing a mark of an
  /// earlier session of the same store. refused: the id belongs to another store_id.
  Task<Result<>> register_node(pb::NodeRecord record, pb::NodeAlive alive);
  /// Forgets a node with its orders to delete. busy: it is running.
  Task<Result<>> remove_node(NodeId node);
  /// "active" or "draining": new locations are not put on a node that is being drained.
  Task<Result<>> set_admin_state(NodeId node, std::string state);
  Task<Result<>> refresh_node_alive(NodeId node, pb::NodeAlive alive);
  Task<Result<std::vector<NodeInfo>>> nodes();  ///< sorted by id
  Task<Result<NodeInfo>> node(NodeId id);
  /// Writes the ephemeral mark, replacing one of an earlier session of the same incarnation at
  /// once. Another's mark is waited for until its session must have timed out; `take_over` replaces
  /// it at once, for a caller who knows that it was his own former process (he holds the lock on
  /// the state folder). busy: another live ukaid has this id.
  Task<Result<>> register_host(pb::HostRecord record, bool take_over = false);
  /// Live ones, sorted. One whose record does not parse has nothing but its id.
  Task<Result<std::vector<pb::HostRecord>>> hosts();
  Task<Result<pb::HostRecord>> host(HostId id);

  // -- orders to delete
  struct Trash {
    std::string key;
    pb::TrashRecord record;
    std::string damage;  ///< not empty: it says nothing clear, and must not be obeyed
  };
  Task<Result<std::vector<Trash>>> trash_of(NodeId node);
  Task<Result<>> remove_trash(NodeId node, std::string key);
  /// Data that is still to be deleted must not be taken for what is copied there anew, or the other
  /// way round. busy: one of `nodes` has an order about the disk.
  Task<Result<>> nothing_to_delete(DiskId disk, std::vector<NodeId> nodes);
  /// The same for what the disk is to get beyond its end, and for all of its members.
  Task<Result<>> nothing_to_delete_beyond(pb::DiskRecord record);
  /// The holder has no request under way at the node that the order could harm. Not an error when
  /// the order is gone.
  /// `last`: of the changes that it has sent there.
  Task<Result<>> release_trash(NodeId node, std::string key, Sequence last);

  // -- paths, for watches
  static std::string names_path() { return "/ukai/names"; }
  static std::string nodes_path() { return "/ukai/nodes"; }
  static std::string alive_path(const NodeId& node);
  static std::string trash_path(const NodeId& node);
  static std::string disk_path(DiskId disk);
  static std::string lease_path(DiskId disk);

  Coordination& coordination() { return coordination_; }

 private:
  /// Commits `ops` and the events that tell of them.
  Task<Result<>> commit_told(std::vector<Op> ops, Probe probe, std::vector<pb::EventRecord> events);
  Task<void> trim_events();
  pb::EventRecord signed_event(pb::EventRecord event) const;

  Coordination& coordination_;
  Scheduler& scheduler_;
  std::string author_;  ///< constant once calls are made
  std::atomic<std::uint64_t> events_told_{0};
};

}  // namespace ukai
