// SPDX-License-Identifier: BSD-2-Clause
#pragma once

#include <memory>
#include <mutex>
#include <optional>

#include "base/async.h"
#include "disk/disk.h"
#include "disk/range_counters.h"
#include "ukai/host_disks.h"
#include "ukai/host_peers.h"

namespace ukai {

/// What a grant of a disk's lease is wanted for.
enum class Purpose {
  guest,      ///< a handle that writes: whoever has the lease idle is asked for it
  operation,  ///< what an operator asked this host for: the same
  job,        ///< what can wait: nobody is asked
};

/// One disk as this host has it, across grants of its lease: takes the lease when it is needed,
/// takes it again after a lost session, gives it back when nobody needs it or somebody asks.
///
/// Handles that write die when another host has held the lease as a guest; handles that read go on,
/// through whoever holds it. Lock order: transition_, then mutex_.
/// Threads: safe from any. shared_ptr: handles, requests and timers keep it alive.
class AttachedDisk : public std::enable_shared_from_this<AttachedDisk> {
 public:
  AttachedDisk(DiskServices services, DiskOptions options, HostPeers& peers, DiskEntry entry);

  /// Where requests can be served from now: here, or at the host that holds the lease.
  struct Place {
    std::shared_ptr<Disk> here;
    pb::HostRecord there;
  };
  /// Takes the lease if it is free or comes free. Errors: busy with the holder named (a host that
  /// does not yield, or is away), stale (`writer_era` is over), as Catalog's.
  Task<Result<std::shared_ptr<Disk>>> hold(std::optional<std::uint64_t> writer_era,
                                           Purpose purpose = Purpose::operation);
  Task<Result<Place>> place();
  /// The grant in force, or null. Never waits.
  std::shared_ptr<Disk> current();

  /// Counts a handle that is about to be: the lease stays until not_opened(), or closed() with the
  /// era that opened() gives.
  void opening(OpenMode mode);
  void not_opened(OpenMode mode);
  std::uint64_t opened(OpenMode mode);
  void closed(OpenMode mode, std::uint64_t era);
  /// Gives the lease back if no handle keeps it. busy otherwise.
  Task<Result<>> yield(bool for_delete);
  /// Holds the lease until all members are present, or somebody asks for it.
  Task<void> heal_unattended();
  /// Gives it back whatever is open: the daemon stops.
  Task<void> shut_down();

  pb::DiskStatusInfo status();
  pb::DiskRecord record();
  /// Handles and operations that have it, but for `own` of the caller's.
  std::uint32_t open_elsewhere(std::uint32_t own);
  bool idle();
  void nodes_changed();
  DiskId id() const { return id_; }
  RangeCounters& heat() { return heat_; }  ///< of this host's guests

 private:
  Result<std::shared_ptr<Disk>> held_now(std::optional<std::uint64_t> writer_era);
  Task<Result<std::shared_ptr<Disk>>> hold_once(std::optional<std::uint64_t> writer_era,
                                                Purpose purpose);
  Task<Result<std::shared_ptr<Disk>>> as_guest(std::shared_ptr<Disk> held);
  Task<Result<Catalog::Taken>> take_lease(Purpose purpose);
  Task<Result<std::optional<Catalog::Taken>>> resolve_busy(Error busy, Purpose purpose);
  void note_taken(const Catalog::Taken& taken);
  void note_refused();
  void kill_writers_locked();
  Owed owed();
  void keep_owed(Disk& over);
  Task<void> release_locked();
  Task<void> release_if_idle();
  void release_later();
  std::uint32_t users_locked() const { return readers_ + opening_writers_ + writers_; }
  void watch_lease(const std::shared_ptr<Disk>& disk);

  // -- constant after construction
  DiskServices services_;
  DiskOptions options_;
  HostPeers& peers_;
  const DiskId id_;

  RangeCounters heat_;
  AsyncMutex transition_;  ///< one change of who holds the lease at a time
  std::mutex mutex_;
  // -- guarded by mutex_
  pb::DiskRecord record_;       ///< as last seen
  std::shared_ptr<Disk> disk_;  ///< null: the lease is not ours
  std::unique_ptr<Coordination::Watch> lease_watch_;
  std::uint32_t readers_ = 0;
  std::uint32_t opening_writers_ = 0;
  std::uint32_t writers_ = 0;     ///< of this era; who is dead keeps nobody waiting
  std::uint64_t writer_era_ = 1;  ///< grows when another host has been the writer
  bool served_ = false;           ///< some grant has served handles of this era
  Owed owed_;                     ///< to them, by grants that are over
};

/// A handle on an attached disk.
class DiskHandle final : public OpenDisk {
 public:
  /// `era`: what disk->opened(mode) gave; a handle that writes is good for it alone.
  DiskHandle(std::shared_ptr<AttachedDisk> disk, OpenMode mode, std::uint64_t era,
             DiskServices services, DiskOptions options, HostPeers& peers,
             std::optional<pb::Snapshot> snapshot = std::nullopt);
  ~DiskHandle() override;

  DiskAttributes attributes() const override;
  std::uint64_t size_bytes() const override;
  Task<Result<Payload>> read(std::uint64_t offset_bytes, std::uint32_t length_bytes) override;
  Task<Result<>> write(std::uint64_t offset_bytes, Payload data) override;
  Task<Result<>> flush() override;
  Task<Result<>> zero(ByteRange range) override;
  Task<Result<std::uint64_t>> seek(std::uint64_t offset_bytes, bool data) override;

 private:
  Task<Result<std::shared_ptr<Disk>>> for_change(TimePoint deadline);
  Task<IoReply> ask(pb::HostRecord host, IoOp op, ByteRange range);
  Task<Result<std::uint64_t>> seek_anywhere(std::uint64_t offset_bytes, bool data);
  std::optional<Generation> view() const;
  bool worth_retrying(const Error& error, TimePoint deadline) const;

  std::shared_ptr<AttachedDisk> disk_;
  const OpenMode mode_;
  const std::uint64_t era_;
  DiskServices services_;
  DiskOptions options_;
  HostPeers& peers_;
  const std::optional<pb::Snapshot> snapshot_;  ///< what is read, instead of the disk as it is
};

/// The attributes of a disk's snapshot as a file of its own.
DiskAttributes snapshot_attributes(DiskAttributes disk, const pb::Snapshot& snapshot);

}  // namespace ukai
