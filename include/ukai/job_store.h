// SPDX-License-Identifier: BSD-2-Clause
#pragma once

#include <compare>
#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "ukai/coordination.h"
#include "ukai/scheduler.h"
#include "ukai/types.h"
#include "ukai_records.pb.h"

namespace ukai {

/// Jobs are counted disk by disk.
struct JobKey {
  DiskId disk;
  std::uint32_t number = 0;
  auto operator<=>(const JobKey&) const = default;
};

/// A job's record and the znode version that the next compare-and-set must match.
struct JobEntry {
  JobKey key;
  pb::JobRecord record;
  std::int32_t version = 0;
};

/// Has it ended, whichever way?
bool has_ended(const pb::JobRecord& job);

/// The long operations that operators have asked for (design.md section 7), as records in
/// Coordination: /ukai/disks/<id>/jobs/<number> is the job, /ukai/jobs/<id>-<number> says that it
/// has not ended, so that whoever looks for work need not look at all disks.
///
/// Errors: as Catalog's. Threads: safe from any.
class JobStore {
 public:
  /// Both outlive the store.
  JobStore(Coordination& coordination, Scheduler& scheduler)
      : coordination_(coordination), scheduler_(scheduler) {}

  /// Gives the record its id and number; the oldest ones that have ended are dropped.
  /// not_found: the disk is gone.
  Task<Result<JobEntry>> create(DiskId disk, pb::JobRecord record);
  Task<Result<JobEntry>> load(JobKey key);
  /// stale: somebody else changed it since `entry` was read.
  Task<Result<JobEntry>> update(JobEntry entry, pb::JobRecord changed);
  /// Calls `changed` whenever active() may bring something else; as Coordination::watch().
  std::unique_ptr<Coordination::Watch> watch_active(std::function<void()> changed);
  /// Those that have not ended, by disk and number.
  Task<Result<std::vector<JobKey>>> active();
  /// All that are kept, oldest first. None when the disk is gone.
  Task<Result<std::vector<JobEntry>>> of_disk(DiskId disk);
  /// By the id that people type. not_found.
  Task<Result<JobEntry>> find(std::string id);

 private:
  Task<Result<std::vector<std::uint32_t>>> numbers(DiskId disk);
  Task<Result<>> trim(DiskId disk);

  Coordination& coordination_;
  Scheduler& scheduler_;
};

}  // namespace ukai
