// SPDX-License-Identifier: BSD-2-Clause
#pragma once

#include <coroutine>
#include <memory>
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
 private:
  struct Race;

 public:
  HedgedReads(DiskCore& core, Repairer& repairer);

  struct Outcome {
    IoReply reply;
    /// Members whose data does not fit its checksum. One that says so after the other one's answer
    /// has counted is not here: it is repaired from here.
    std::vector<std::size_t> damaged;
  };

  /// What read() returns: to be awaited at once. Not a Task, because nothing needs a frame.
  class Reading {
   public:
    explicit Reading(std::shared_ptr<Race> race) : race_(std::move(race)) {}
    bool await_ready() const noexcept { return false; }
    bool await_suspend(std::coroutine_handle<> awaiter);
    Outcome await_resume();

   private:
    std::shared_ptr<Race> race_;  ///< shared with the links' callbacks, and with who watches
  };

  /// Both targets are in sync and cannot change in this range meanwhile.
  Reading read(const IoRequest& request, const Target& first, const Target& second);

 private:
  void ask(const std::shared_ptr<Race>& race, std::size_t runner);
  void arrived(const std::shared_ptr<Race>& race, std::size_t runner, IoReply reply);
  void settle(const std::shared_ptr<Race>& race, std::size_t runner, IoReply reply);
  void wait_for(const std::shared_ptr<Race>& race);
  Task<void> watch();
  std::vector<std::shared_ptr<Race>> take_due();
  void hedge(const std::shared_ptr<Race>& race);

  DiskCore& core_;
  Repairer& repairer_;
  std::mutex mutex_;
  std::vector<LatencyQuantile> latencies_;      ///< by mutex_; of each member
  std::vector<std::shared_ptr<Race>> waiting_;  ///< by mutex_; some may have their answer already
  double budget_;                               ///< by mutex_; second requests that may be sent
  bool watching_ = false;                       ///< by mutex_
};

}  // namespace ukai
