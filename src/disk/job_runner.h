// SPDX-License-Identifier: BSD-2-Clause
#pragma once

#include <atomic>
#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <set>

#include "base/async.h"
#include "disk/disk.h"
#include "ukai/job_store.h"

namespace ukai {

/// A disk whose lease stays here as long as this is kept, unless a guest elsewhere wants it.
struct BorrowedDisk {
  std::shared_ptr<void> keeps;
  std::shared_ptr<Disk> disk;
};

/// What the runner asks of the host that it runs on.
class JobHost {
 public:
  virtual ~JobHost() = default;
  virtual HostId host_id() const = 0;
  /// Does a grant of the disk's lease stand here?
  virtual bool holds(DiskId disk) = 0;
  /// Takes the lease if nobody has it; asks nobody for it (busy).
  virtual Task<Result<BorrowedDisk>> borrow_for_job(DiskId disk) = 0;
};

/// Runs the jobs of the disks that this host holds the lease of, and those of disks that nobody has
/// (design.md section 7). Whoever takes a disk over goes on with its jobs: each step of a job can
/// be repeated, and what has arrived stays.
///
/// Threads: safe from any.
class JobRunner {
 public:
  /// All outlive the runner, which must have been stopped before it goes.
  JobRunner(Catalog& catalog, Scheduler& scheduler, JobHost& host);

  void start();
  /// Jobs under way end soon, as far as they are; others go on with them.
  void ask_to_stop();
  Task<void> stop();

 private:
  struct Run;
  using Runs = std::shared_ptr<Run>;  // shared by its steps and its reporter

  Task<void> loop();
  Task<bool> look();
  enum class Now { yes, soon, no };
  Task<Now> may_run(JobKey key);
  Task<void> run(JobKey key);
  Task<Result<>> work(Runs run);
  Task<void> finish(Runs run, Result<> done);
  void note(const Runs& run, std::string why);
  std::optional<Error> tell(const Runs& run, const SyncState& state);
  Task<Result<>> move(Runs run, Disk& disk);
  Task<Result<>> copy(Runs run, Disk& disk);
  Task<Result<>> change(Runs run, Disk& disk, bool adds);
  Task<Result<>> take_back(Runs run, Disk& disk);
  Task<void> report(Runs run);
  Task<Result<>> write(Runs run);

  Catalog& catalog_;
  Scheduler& scheduler_;
  JobHost& host_;
  JobStore store_;
  const std::shared_ptr<Notifier> changed_;  ///< shared with the watch, which may end after us
  TaskScope tasks_;
  std::atomic<bool> stopping_{false};
  std::mutex mutex_;
  std::set<DiskId> running_;                // by mutex_; one job a disk
  std::map<DiskId, TimePoint> free_since_;  // of loop()
};

}  // namespace ukai
