// SPDX-License-Identifier: BSD-2-Clause
#pragma once

#include <functional>
#include <memory>

#include "disk/block_io.h"
#include "disk/connector.h"
#include "disk/disk_core.h"
#include "disk/flusher.h"
#include "disk/healer.h"
#include "disk/membership.h"
#include "disk/mover.h"
#include "disk/pace_watch.h"
#include "disk/repair.h"
#include "disk/snapshots.h"

namespace ukai {

/// How far Disk::sync() is.
struct SyncState {
  std::uint64_t left = 0;    ///< replicas that are not in sync
  std::uint64_t filled = 0;  ///< of those, as good as copied
  std::uint64_t bytes_moved = 0;
  bool finished = false;
  std::string waiting;         ///< who cannot be worked with now, and why; empty: nobody
  std::optional<Error> error;  ///< of the last copy that failed
};

/// One disk under one grant of its lease: what its holder does with it. When the lease is lost, or
/// given back, it is over; a new grant makes a new Disk.
///
/// Errors of the data calls: stale (this grant is over), io, no_space, corrupt. Ranges lie within
/// the disk. Threads: safe from any. shared_ptr: requests in flight keep it alive.
class Disk {
 public:
  Disk(DiskServices services, DiskOptions options, Catalog::Taken taken, const Owed& owed = {});
  ~Disk();

  /// Fences the nodes and repairs what an unclean end left; then serves.
  Task<Result<>> start();
  /// Drains, flushes, lets the nodes forget, and ends service; false: not all could be made clean.
  /// What still runs then, a fence of a node that is away say, abandon() waits for.
  Task<bool> finish();
  /// Ends service at once: whatever waits gets `error`. Resumes when nothing runs any more.
  Task<void> abandon(Error error);

  /// `at`: a snapshot's generation; without, the disk as it is.
  using View = BlockIo::View;
  Task<Result<Payload>> read(ByteRange range, View at = std::nullopt);
  Task<Result<>> write(std::uint64_t offset_bytes, Payload data);
  Task<Result<>> zero(ByteRange range);
  Task<Result<>> flush();
  /// As OpenDisk::seek.
  Task<Result<std::uint64_t>> seek(std::uint64_t offset_bytes, bool data, View at = std::nullopt);

  Task<Result<pb::DiskRecord>> change(pb::ChangeDiskRequest request);
  /// Brings the replicas in sync, and heals every missing member if the terms are about any node.
  /// Goes on until that is so: `progress`, called at least every few seconds, ends it by false.
  Task<Result<>> sync(MoveTerms terms, std::function<bool(const SyncState&)> progress);
  /// Compares all in-sync replicas of every block; each block is still while it is compared.
  Task<Result<>> verify(std::function<bool(const pb::VerifyProgress&)> progress);

  /// Checks every replica of every block against its checksums, and repairs what it can.
  Task<Result<>> scrub(std::function<bool(const pb::ScrubProgress&)> progress);

  /// What differs between two views, in ranges of limits::copy_chunk_bytes.
  Task<Result<>> diff(Generation from, View to, std::uint64_t size_bytes,
                      std::function<bool(const pb::DiffProgress&)> progress);

  Snapshots& snapshots() { return snapshots_; }
  DiskId id() const { return core_.id; }
  const Lease& lease() const { return core_.lease; }
  Geometry geometry() { return core_.geometry(); }
  pb::DiskRecord record();
  /// Sessions, members and counters; readers and writers are the caller's to fill in.
  pb::DiskStatusInfo status();
  /// May a guest write under this grant? Others, of a job say, are told of in the record before.
  bool serves_guest() const { return serves_guest_; }
  Task<Result<>> begin_guest();
  /// True while a member is missing.
  bool degraded();
  /// What the handles that go on under the next grant are owed; after abandon().
  Owed owed() { return core_.owed(); }
  bool stopped() { return core_.stop_reason().has_value(); }
  /// Something about the nodes may have changed: sessions are tried at once.
  void nodes_changed() { core_.changed.notify(); }
  /// Ends service if the lease turns out to be gone.
  static Task<void> verify_lease(std::shared_ptr<Disk> disk);

 private:
  Result<> check_view(View at);
  Task<Result<Payload>> read_frozen(ByteRange range, View at);
  Task<Result<Payload>> read_parts(ByteRange range, View at);
  Task<Result<>> change_range(ByteRange range, IoOp op, Payload data);
  Task<Result<>> announce(pb::ChangeDiskRequest resize);
  Task<Result<bool>> compare_block(BlockIndex block, pb::Difference& difference);
  Task<Result<bool>> block_differs(BlockIndex block, pb::Difference& difference);

  struct Healing {
    std::size_t members = 0;
    std::uint64_t blocks_left = 0;
    std::string waiting;  ///< who is away, and why
  };
  Healing healing();
  std::string waits_for(const MoveTerms& terms);
  Task<Result<Repairer::Outcome>> scrub_block(BlockIndex block);
  Task<Result<Repairer::Outcome>> scrub_part(BlockPart part);

  std::atomic<bool> serves_guest_;
  DiskCore core_;
  Membership membership_;
  Connector connector_;
  Healer healer_;
  Mover mover_;
  Repairer repairer_;
  BlockIo io_;
  Flusher flusher_;
  Snapshots snapshots_;
  PaceWatch pace_;
};

}  // namespace ukai
