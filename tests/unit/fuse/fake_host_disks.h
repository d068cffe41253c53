// SPDX-License-Identifier: BSD-2-Clause
#pragma once

#include <atomic>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <vector>

#include "ukai/host_disks.h"

namespace ukai::fake {

constexpr std::size_t chunk_bytes = 64U << 10;  ///< what is allocated at a time

/// How many of something are under way at once, at most.
class Together {
 public:
  void enter() {
    const int now = ++now_;
    int most = most_;
    while (now > most && !most_.compare_exchange_weak(most, now)) {
    }
  }
  void leave() { --now_; }
  int most() const { return most_; }
  void forget() { most_ = 0; }

 private:
  std::atomic<int> now_{0};
  std::atomic<int> most_{0};
};

/// A disk in memory.
struct Disk {
  DiskId id;
  std::string name;  // guarded by the cluster's mutex, as all below
  std::vector<std::byte> bytes;
  std::vector<bool> allocated;  // by chunk
  std::string writer;           // host that holds the lease
  unsigned writers = 0;         // its handles
};

/// The disks that several hosts see, what was done to them, and faults to inject.
/// Threads: safe from any.
class Cluster {
 public:
  void create(const std::string& name, std::size_t size_bytes);
  void remove(const std::string& name);
  void rename(const std::string& from, const std::string& to);
  void resize(const std::string& name, std::size_t size_bytes);
  std::string contents(const std::string& name, std::size_t offset, std::size_t length);

  std::atomic<unsigned> flushes{0};
  std::atomic<unsigned> writes{0};
  std::atomic<std::size_t> largest_write{0};
  Together reads_together;
  Together writes_together;
  std::atomic<int> read_takes_us{0};  ///< of the thread that asks, as copying would
  std::atomic<std::size_t> read_piece_bytes{chunk_bytes};  ///< a read's data arrives in such pieces
  std::atomic<bool> refuse_opens{false};
  std::atomic<bool> metadata_away{false};
  std::atomic<bool> fail_writes{false};
  std::atomic<bool> fail_flushes{false};
  /// What handles were told of QEMU's write lock: true, taken.
  std::vector<bool> told_write_locks() {
    std::lock_guard lock(mutex_);
    return write_locks_;
  }

 private:
  friend class HostDisks;
  friend class OpenDisk;
  std::shared_ptr<Disk> find(const std::string& name);
  std::mutex mutex_;
  std::map<std::string, std::shared_ptr<Disk>> disks_;  // shared with open handles
  std::vector<bool> write_locks_;                       // by mutex_
};

/// One host's view. With a scheduler, I/O completes on its threads after a moment, as it would with
/// nodes far away; without, on the spot.
class HostDisks final : public ukai::HostDisks {
 public:
  HostDisks(Cluster& cluster, std::string host, Scheduler* scheduler)
      : cluster_(cluster), host_(std::move(host)), scheduler_(scheduler) {}

  Task<Result<std::vector<DiskName>>> list() override;
  Task<Result<std::vector<DiskName>>> list_snapshots() override;
  Task<Result<DiskAttributes>> stat(DiskName name) override;
  Task<Result<std::shared_ptr<ukai::OpenDisk>>> open(DiskName name, OpenMode mode) override;
  Task<Result<std::shared_ptr<ukai::OpenDisk>>> resume(pb::OpenState state) override;
  Task<Result<StoreSpace>> space() override;
  Task<void> shut_down() override;

  // Not for the mount.
  Task<Result<pb::ChangeDiskReply>> change_disk(pb::ChangeDiskRequest request) override;
  Task<Result<pb::TakeSnapshotsReply>> take_snapshots(pb::TakeSnapshotsRequest request) override;
  Task<Result<pb::CloneDiskReply>> clone_disk(pb::CloneDiskRequest request) override;
  Task<Result<>> diff_disk(pb::DiffDiskRequest request,
                           std::function<bool(const pb::DiffProgress&)> progress) override;
  Task<Result<pb::YieldLeaseReply>> yield_lease(pb::YieldLeaseRequest request) override;
  Task<Result<pb::DiskStatusReply>> disk_status(pb::DiskStatusRequest request) override;
  Task<Result<pb::HostStatusReply>> host_status() override;
  void run_jobs() override {}
  Task<Result<>> verify_disk(pb::VerifyDiskRequest request,
                             std::function<bool(const pb::VerifyProgress&)> progress) override;
  Task<Result<>> scrub_disk(pb::ScrubDiskRequest request,
                            std::function<bool(const pb::ScrubProgress&)> progress) override;
  void serve_reader(IoRequest request, std::function<void(IoReply)> done) override;

 private:
  Cluster& cluster_;
  const std::string host_;
  Scheduler* const scheduler_;
};

}  // namespace ukai::fake
