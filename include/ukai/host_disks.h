// SPDX-License-Identifier: BSD-2-Clause
#pragma once

#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "ukai/block_store.h"
#include "ukai/bytes.h"
#include "ukai/io.h"
#include "ukai/task.h"
#include "ukai/types.h"
#include "ukai_host.pb.h"
#include "ukai_takeover.pb.h"

namespace ukai {

struct DiskAttributes {
  DiskId id;
  DiskName name;
  std::uint64_t size_bytes = 0;
  std::uint32_t block_size_bytes = 0;
  /// Allocated on the replica that reads would come from; size_bytes when not known.
  std::uint64_t allocated_bytes = 0;
  std::uint64_t created_unix_s = 0;
};

enum class OpenMode { read_only, read_write };

/// One open handle of one disk. Closing is destroying the last reference; the disk's lease goes
/// when its last handle has gone (after a linger). shared_ptr because requests in flight outlive
/// FUSE's RELEASE.
///
/// A handle that writes may be opened while another host has the lease, if the record allows both
/// hosts: it reads through that host, and its first change, or note_write_lock(true), asks for the
/// lease.
///
/// Errors of the data calls: io (no replica could serve within io_wait; the other host did not give
/// the lease up within hand_over_wait), no_space, stale (another host took the disk over: this
/// handle is dead for ever), corrupt, invalid (range beyond the end).
/// Threads: safe from any; tasks resume on completion threads.
class OpenDisk {
 public:
  virtual ~OpenDisk() = default;
  virtual DiskAttributes attributes() const = 0;
  virtual std::uint64_t size_bytes() const = 0;  ///< now; changes when the operator resizes
  /// Cut at the end of the disk; empty at or beyond it.
  virtual Task<Result<Payload>> read(std::uint64_t offset_bytes, std::uint32_t length_bytes) = 0;
  /// Resolves when every in-sync replica has applied it. invalid: reaches beyond the end.
  virtual Task<Result<>> write(std::uint64_t offset_bytes, Payload data) = 0;
  /// Resolves when everything acknowledged before is durable on every in-sync replica.
  virtual Task<Result<>> flush() = 0;
  /// The range, cut at the end, reads as zeros afterwards and gives its space back.
  virtual Task<Result<>> zero(ByteRange range) = 0;
  /// Start of the first range at or after `offset_bytes` that holds data (or is a hole). not_found:
  /// no data from there on; the end of the disk counts as a hole.
  virtual Task<Result<std::uint64_t>> seek(std::uint64_t offset_bytes, bool data) = 0;
  /// QEMU's image lock on byte 101, "I write", was taken or let go through this handle. A handle
  /// that has let it go keeps nobody from taking the disk over (live migration). Never waits.
  virtual void note_write_lock(bool held) = 0;
  /// What a process that takes the mount over needs to go on with the handle (resume).
  virtual pb::OpenState state() const = 0;
};

/// The disks of this host, as the mount shows them and the control service changes them.
/// Threads: safe from any.
class HostDisks {
 public:
  virtual ~HostDisks() = default;
  virtual Task<Result<std::vector<DiskName>>> list() = 0;
  /// "NAME@SNAPSHOT" of all snapshots.
  virtual Task<Result<std::vector<DiskName>>> list_snapshots() = 0;
  virtual Task<Result<DiskAttributes>> stat(DiskName name) = 0;
  /// "NAME@SNAPSHOT" is a snapshot, which is read only, on any host.
  /// busy: another host has it open for writing, and the record does not allow both; refused: this
  /// host is not allowed.
  virtual Task<Result<std::shared_ptr<OpenDisk>>> open(DiskName name, OpenMode mode) = 0;
  /// The handle of an earlier process of this host. Takes no lease before it is needed, and is dead
  /// if another host has been the writer since. not_found: the disk is gone.
  virtual Task<Result<std::shared_ptr<OpenDisk>>> resume(pb::OpenState state) = 0;
  /// Sum over the nodes that are alive.
  virtual Task<Result<StoreSpace>> space() = 0;

  // -- what ukaictl and other hosts ask (HostControl, one function a call)
  virtual Task<Result<pb::ChangeDiskReply>> change_disk(pb::ChangeDiskRequest request) = 0;
  virtual Task<Result<pb::TakeSnapshotsReply>> take_snapshots(pb::TakeSnapshotsRequest request) = 0;
  virtual Task<Result<pb::CloneDiskReply>> clone_disk(pb::CloneDiskRequest request) = 0;
  virtual Task<Result<>> diff_disk(pb::DiffDiskRequest request,
                                   std::function<bool(const pb::DiffProgress&)> progress) = 0;
  virtual Task<Result<pb::YieldLeaseReply>> yield_lease(pb::YieldLeaseRequest request) = 0;
  virtual Task<Result<pb::DiskStatusReply>> disk_status(pb::DiskStatusRequest request) = 0;
  virtual Task<Result<pb::HostStatusReply>> host_status() = 0;
  /// `progress` is called on a completion thread; false: the caller is gone, stop.
  virtual Task<Result<>> verify_disk(pb::VerifyDiskRequest request,
                                     std::function<bool(const pb::VerifyProgress&)> progress) = 0;
  virtual Task<Result<>> scrub_disk(pb::ScrubDiskRequest request,
                                    std::function<bool(const pb::ScrubProgress&)> progress) = 0;
  /// Requests of other hosts' readers (IoOp::read_disk, seek_disk): answered only
  /// while this host holds the lease, otherwise stale.
  virtual void serve_reader(IoRequest request, std::function<void(IoReply)> done) = 0;

  /// From now on jobs run here, too: those of disks that this host has, and of those nobody has.
  virtual void run_jobs() = 0;
  /// Flushes, releases all leases, waits for requests in flight. Nothing may be called afterwards.
  virtual Task<void> shut_down() = 0;
};

}  // namespace ukai
