// SPDX-License-Identifier: BSD-2-Clause
#pragma once

#include <mutex>
#include <vector>

#include "disk/disk_core.h"
#include "disk/latency_quantile.h"
#include "disk/repair.h"
#include "disk/requests.h"

namespace ukai {

/// Reads from one replica, and from a second one when the first takes longer than its own 95th
/// percentile; the first good answer counts ("The Tail at Scale", Dean and Barroso 2013). At most
/// 5 % of the reads are asked twice, so a slow system is not made slower.
///
/// Threads: safe from any. What it starts runs in the core's task scope.
class HedgedReads {
 public:
  HedgedReads(DiskCore& core, Repairer& repairer);

  struct Outcome {
    IoReply reply;
    /// Members whose data does not fit its checksum. One that says so after the other one's answer
    /// has counted is not here: it is repaired from here.
    std::vector<std::size_t> damaged;
  };

  /// Both targets are in sync and cannot change in this range meanwhile.
  Task<Outcome> read(IoRequest request, Target first, Target second);

 private:
  struct Race;
  struct Waiting {
    std::shared_ptr<Race> race;
    TimePoint due;
    IoRequest request;
    Target second;
  };

  bool ask(std::shared_ptr<Race> race, IoRequest request, Target target);
  Task<void> ask_one(std::shared_ptr<Race> race, IoRequest request, Target target);
  void wait_for(Waiting waiting);
  Task<void> watch();
  std::vector<Waiting> take_due();

  DiskCore& core_;
  Repairer& repairer_;
  std::mutex mutex_;
  std::vector<LatencyQuantile> latencies_;  ///< by mutex_; of each member
  std::vector<Waiting> waiting_;            ///< by mutex_; some may have their answer already
  double budget_;                           ///< by mutex_; second requests that may be sent
  bool watching_ = false;                   ///< by mutex_
};

}  // namespace ukai
