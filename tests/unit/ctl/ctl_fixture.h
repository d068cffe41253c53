// SPDX-License-Identifier: BSD-2-Clause
#pragma once

#include <gtest/gtest.h>

#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <thread>
#include <vector>

#include "base/asio_scheduler.h"
#include "ctl/environment.h"
#include "metadata/memory_coordination.h"

namespace ukai::ctl {

/// Daemons that answer as a test tells them; what nobody set fails with unreachable.
/// Threads: set up first, then run.
class FakeCalls final : public DaemonCalls {
 public:
  template <class Request, class Reply>
  using On = std::function<Result<Reply>(const std::string& who, const Request&)>;

  On<pb::ChangeDiskRequest, pb::ChangeDiskReply> on_change;
  On<pb::YieldLeaseRequest, pb::YieldLeaseReply> on_yield;
  On<pb::DiskStatusRequest, pb::DiskStatusReply> on_disk_status;
  On<pb::TakeSnapshotsRequest, pb::TakeSnapshotsReply> on_snapshots;
  On<pb::CloneDiskRequest, pb::CloneDiskReply> on_clone;
  std::vector<pb::DiffProgress> diff_progress;
  std::function<Result<pb::HostStatusReply>(const std::string&)> on_host_status;
  std::vector<pb::VerifyProgress> verify_progress;
  std::vector<pb::ScrubProgress> scrub_progress;
  std::optional<Error> work_error;  ///< of verify and scrub, after their progress
  On<pb::DirtyListRequest, pb::DirtyListReply> on_dirty_list;
  On<pb::HeldRequest, pb::HeldReply> on_held;
  On<pb::DiskUsageRequest, pb::DiskUsageReply> on_disk_usage;
  std::function<Result<pb::HealthReply>(const std::string&)> on_node_health;
  std::vector<std::string> worked_at;  ///< hosts that verified or scrubbed

  Task<Result<pb::ChangeDiskReply>> change_disk(pb::HostRecord host,
                                                pb::ChangeDiskRequest request) override;
  Task<Result<pb::YieldLeaseReply>> yield_lease(pb::HostRecord host,
                                                pb::YieldLeaseRequest request) override;
  Task<Result<pb::TakeSnapshotsReply>> take_snapshots(pb::HostRecord host,
                                                      pb::TakeSnapshotsRequest request) override;
  Task<Result<pb::CloneDiskReply>> clone_disk(pb::HostRecord host,
                                              pb::CloneDiskRequest request) override;
  Task<Result<>> diff_disk(pb::HostRecord host, pb::DiffDiskRequest request,
                           DiffProgress progress) override;
  Task<Result<pb::DiskStatusReply>> disk_status(pb::HostRecord host,
                                                pb::DiskStatusRequest request) override;
  Task<Result<pb::HostStatusReply>> host_status(pb::HostRecord host) override;
  Task<Result<>> verify_disk(pb::HostRecord host, pb::VerifyDiskRequest request,
                             VerifyProgress progress) override;
  Task<Result<>> scrub_disk(pb::HostRecord host, pb::ScrubDiskRequest request,
                            ScrubProgress progress) override;
  Task<Result<pb::DirtyListReply>> dirty_list(pb::NodeRecord node,
                                              pb::DirtyListRequest request) override;
  Task<Result<pb::HeldReply>> held(pb::NodeRecord node, pb::HeldRequest request) override;
  Task<Result<pb::DiskUsageReply>> disk_usage(pb::NodeRecord node,
                                              pb::DiskUsageRequest request) override;
  Task<Result<pb::HealthReply>> node_health(pb::NodeRecord node) override;
};

struct Outcome {
  int status = -1;
  std::string out;
  std::string err;
};
std::ostream& operator<<(std::ostream& out, const Outcome& outcome);

/// A cluster in memory and a ukaictl that works on it, in this process.
class CtlTest : public ::testing::Test {
 protected:
  /// `layout`: daemons have been here before.
  explicit CtlTest(bool layout = true);
  ~CtlTest() override;

  void add_node(const std::string& id);
  void add_down_node(const std::string& id);
  void add_host(const std::string& id);
  /// `args`: words, separated by blanks.
  Outcome run(const std::string& args);
  Outcome run_words(const std::vector<std::string>& words);
  /// Runs `args`, expects that it succeeds silently on stderr, and returns what it printed.
  std::string done(const std::string& args);
  /// Expects this status, nothing on stdout and this one line on stderr (after "ukaictl: ").
  void fails(const std::string& args, int status, const std::string& line);

  DiskEntry disk(const std::string& name);
  /// Host `id` takes the disk's lease, as a guest's opening does.
  Lease hold(const std::string& name, const std::string& id);
  /// From now on some host runs jobs: each begins, is a third done for a moment, and then becomes
  /// what `end` makes of it.
  void run_jobs(std::function<void(pb::JobRecord&)> end);
  /// Does what the job's moves say; the disk has one segment and nobody has its lease.
  void do_moves(const pb::JobRecord& job);
  /// All that are kept, of the disk.
  std::vector<pb::JobRecord> jobs(const std::string& name);
  /// All metadata are lost, and with them the sessions of the daemons.
  Result<> clear_tree();
  /// Members of the disk become missing.
  void lose_members(const std::string& name, const std::vector<std::string>& nodes);

  MemoryZooKeeper tree_;
  AsioScheduler scheduler_{1};
  std::unique_ptr<MemoryCoordination> daemons_;
  std::unique_ptr<Catalog> catalog_;
  FakeCalls calls_;
  std::map<std::string, std::string> variables_{{"UKAI_METADATA", "zk:2181"}};
  bool terminal_ = false;
  std::optional<std::string> typed_;  ///< what the operator answers; unset: nobody is there
  bool metadata_unreachable_ = false;
  bool interrupted_ = false;  ///< the user has pressed Ctrl-C

 private:
  std::jthread runner_;  ///< of jobs; ends first
};

}  // namespace ukai::ctl
