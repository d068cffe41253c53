// SPDX-License-Identifier: BSD-2-Clause
#pragma once

#include <memory>
#include <mutex>
#include <optional>

#include "base/async.h"
#include "disk/disk.h"
#include "disk/range_counters.h"
#include "disk/writers.h"
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
/// Handles that write die when another host has held the lease as a guest after they have had it;
/// handles that read go on, through whoever holds it, and so do those that write until they are
/// granted the lease (hand_over.cpp). Lock order: transition_, then mutex_.
/// Threads: safe from any. shared_ptr: handles, requests and timers keep it alive.
class AttachedDisk : public std::enable_shared_from_this<AttachedDisk> {
 public:
  AttachedDisk(DiskServices services, DiskOptions options, HostPeers& peers, DiskEntry entry);

  /// Where requests can be served from now: here, or at the host that holds the lease.
  struct Place {
    std::shared_ptr<Disk> here;
    std::optional<pb::HostRecord> there;  ///< unless it is here
  };
  /// Takes the lease if it is free or comes free, for `writer` (kept by the caller) or, if that is
  /// null, whatever it is for. Errors: busy with the holder named (a host that does not yield, or
  /// is away), stale (`writer` is dead), as Catalog's.
  Task<Result<std::shared_ptr<Disk>>> hold(Writer* writer, Purpose purpose = Purpose::operation);
  /// The grant under which `writer` may change the disk. Waits up to hand_over_wait for the host
  /// that has the lease to be ready, and up to `deadline` for whatever else is passing. Errors:
  /// stale (dead for ever), io (the other host keeps it), as Catalog's.
  Task<Result<std::shared_ptr<Disk>>> hold_for_change(Writer& writer, TimePoint deadline);
  Task<Result<Place>> place();  ///< current(), if there is one
  /// The grant in force, or null. Never waits.
  std::shared_ptr<Disk> current();

  /// Counts a handle that is about to be: the lease stays until not_opened(), or closed() with what
  /// opened() gives, which is null for one that reads. `granted`: its open has taken the lease.
  void opening(OpenMode mode);
  void not_opened(OpenMode mode);
  std::shared_ptr<Writer> opened(OpenMode mode, bool granted);
  void closed(const std::shared_ptr<Writer>& writer);
  /// What resumed() needs, in a later process. (resume.cpp)
  pb::OpenState state_of(const std::shared_ptr<Writer>& writer);
  /// As opening() and opened(), for a handle of an earlier process.
  std::shared_ptr<Writer> resumed(const pb::OpenState& state);
  /// Another host has the lease, and may hand it over to this one if `record` is in force.
  Task<bool> may_wait(pb::DiskRecord record);
  /// As OpenDisk::note_write_lock.
  void note_write_lock(const std::shared_ptr<Writer>& writer, bool held);
  /// True: nothing was ever written through it, and nobody else here writes.
  bool owes_nothing(const Writer& writer);
  /// Drains, flushes and gives the lease back if no handle keeps it. busy otherwise.
  Task<Result<>> yield(pb::YieldLeaseRequest request);
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
  /// Whom to ask for a lease that is not free, and for what.
  enum class Asking {
    nobody,
    jobs,       ///< who has it for a job; not a guest
    idle,       ///< whoever does not use it
    hand_over,  ///< whoever is ready to let another host write
  };
  Asking asking_for(const Writer* writer, Purpose purpose);
  Result<std::shared_ptr<Disk>> held_now(Writer* writer);
  Task<Result<std::shared_ptr<Disk>>> hold_once(Writer* writer, Purpose purpose);
  Task<Result<std::shared_ptr<Disk>>> as_guest(std::shared_ptr<Disk> held, Writer* writer);
  Task<Result<Catalog::Taken>> take_lease(Purpose purpose, Asking asking);
  Task<Result<std::optional<Catalog::Taken>>> resolve_busy(Error busy, Asking asking);
  void note_taken(const Catalog::Taken& taken);
  void note_refused();
  std::optional<Error> not_allowed(const pb::DiskRecord& record);
  void kill_writers_locked();
  Owed owed();
  void keep_owed(Disk& over);
  std::shared_ptr<Disk> end_grant_locked();
  Task<void> release(std::shared_ptr<Disk> disk);
  Task<void> give_back(std::shared_ptr<Disk> disk);
  Task<void> release_if_idle();
  void release_later();
  std::uint32_t users_locked() const {
    return readers_ + opening_writers_ + static_cast<std::uint32_t>(writers_.count());
  }
  // -- hand_over.cpp
  Task<void> close_grant(std::shared_ptr<Disk> disk, AsyncMutex::Guard guard);
  Task<void> give_way();
  Task<void> take_soon(std::shared_ptr<Writer> writer);
  Task<void> wait_for_holder();
  bool given_up(const Writer& writer);
  std::optional<Error> kept_locked(const pb::YieldLeaseRequest& request) const;
  Task<void> wait_for_keepers(const pb::YieldLeaseRequest& request);
  void watch_lease(const std::shared_ptr<Disk>& disk);

  // -- constant after construction
  DiskServices services_;
  DiskOptions options_;
  HostPeers& peers_;
  const DiskId id_;

  RangeCounters heat_;
  AsyncMutex transition_;       ///< one change of who holds the lease at a time
  Notifier writers_changed_;    ///< one has gone, or let QEMU's lock go
  TimePoint give_way_until_{};  ///< by transition_
  TaskScope tasks_;
  std::mutex mutex_;
  // -- guarded by mutex_
  pb::DiskRecord record_;       ///< as last seen
  std::shared_ptr<Disk> disk_;  ///< null: the lease is not ours
  std::unique_ptr<Coordination::Watch> lease_watch_;
  std::uint32_t readers_ = 0;
  std::uint32_t opening_writers_ = 0;
  Writers writers_;
  Owed owed_;  ///< to those that were granted the lease, by grants that are over
  bool stopping_ = false;
};

/// A handle on an attached disk.
class DiskHandle final : public OpenDisk {
 public:
  /// `writer`: what disk->opened(mode) gave.
  DiskHandle(std::shared_ptr<AttachedDisk> disk, std::shared_ptr<Writer> writer,
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
  void note_write_lock(bool held) override;
  pb::OpenState state() const override;

 private:
  Task<Result<std::shared_ptr<Disk>>> for_change(TimePoint deadline);
  Task<IoReply> ask(pb::HostRecord host, IoOp op, ByteRange range);
  Task<Result<std::uint64_t>> seek_anywhere(std::uint64_t offset_bytes, bool data);
  std::optional<Generation> view() const;
  bool worth_retrying(const Error& error, TimePoint deadline) const;

  std::shared_ptr<AttachedDisk> disk_;
  const std::shared_ptr<Writer> writer_;  ///< null: it only reads
  DiskServices services_;
  DiskOptions options_;
  HostPeers& peers_;
  const std::optional<pb::Snapshot> snapshot_;  ///< what is read, instead of the disk as it is
};

/// The attributes of a disk's snapshot as a file of its own.
DiskAttributes snapshot_attributes(DiskAttributes disk, const pb::Snapshot& snapshot);

}  // namespace ukai
