// SPDX-License-Identifier: BSD-2-Clause
#include "unit/ctl/ctl_fixture.h"

#include <sstream>

#include "ctl/run.h"
#include "metadata/metadata_address.h"
#include "ukai/location_change.h"

namespace ukai::ctl {
namespace {

const Error silent{Code::unreachable, "connection refused"};

/// A ukaictl's own session, which ends with it.
class MemoryCluster final : public Cluster {
 public:
  MemoryCluster(MemoryZooKeeper& tree, Scheduler& scheduler, DaemonCalls& calls,
                MemoryOptions options, bool unreachable)
      : coordination_(tree, scheduler, options),
        catalog_(coordination_, scheduler),
        jobs_(coordination_, scheduler),
        calls_(calls) {
    if (unreachable) coordination_.suspend();
  }
  Catalog& catalog() override { return catalog_; }
  JobStore& jobs() override { return jobs_; }
  DaemonCalls& calls() override { return calls_; }

 private:
  MemoryCoordination coordination_;
  Catalog catalog_;
  JobStore jobs_;
  DaemonCalls& calls_;
};

pb::NodeRecord node_record(const std::string& id) {
  pb::NodeRecord record;
  record.set_id(id);
  record.set_data_address("127.0.0.1:7000");
  record.set_control_address("127.0.0.1:7001");
  record.set_site("jp/tokyo/dc1");
  record.set_store_id("store-" + id);
  record.set_capacity_bytes(100ULL << 30);
  return record;
}

pb::NodeAlive node_alive() {
  pb::NodeAlive alive;
  alive.set_boot_id("boot");
  alive.set_incarnation(7);
  alive.set_free_bytes(60ULL << 30);
  alive.set_used_bytes(40ULL << 30);
  return alive;
}

}  // namespace

std::ostream& operator<<(std::ostream& out, const Outcome& outcome) {
  return out << "status " << outcome.status << "\nout: " << outcome.out << "\nerr: " << outcome.err;
}

// -- FakeCalls

Task<Result<pb::ChangeDiskReply>> FakeCalls::change_disk(pb::HostRecord host,
                                                         pb::ChangeDiskRequest request) {
  if (!on_change) co_return silent;
  co_return on_change(host.id(), request);
}

Task<Result<pb::YieldLeaseReply>> FakeCalls::yield_lease(pb::HostRecord host,
                                                         pb::YieldLeaseRequest request) {
  if (!on_yield) co_return silent;
  co_return on_yield(host.id(), request);
}

Task<Result<pb::DiskStatusReply>> FakeCalls::disk_status(pb::HostRecord host,
                                                         pb::DiskStatusRequest request) {
  if (!on_disk_status) co_return pb::DiskStatusReply();
  co_return on_disk_status(host.id(), request);
}

Task<Result<pb::TakeSnapshotsReply>> FakeCalls::take_snapshots(pb::HostRecord host,
                                                               pb::TakeSnapshotsRequest request) {
  if (!on_snapshots) co_return silent;
  co_return on_snapshots(host.id(), request);
}

Task<Result<pb::CloneDiskReply>> FakeCalls::clone_disk(pb::HostRecord host,
                                                       pb::CloneDiskRequest request) {
  if (!on_clone) co_return silent;
  co_return on_clone(host.id(), request);
}

Task<Result<>> FakeCalls::diff_disk(pb::HostRecord host, pb::DiffDiskRequest,
                                    DiffProgress progress) {
  worked_at.push_back(host.id());
  for (const auto& message : diff_progress) {
    if (!progress(message)) co_return Error{Code::unreachable, "stopped"};
  }
  if (work_error) co_return *work_error;
  co_return Unit{};
}

Task<Result<pb::HostStatusReply>> FakeCalls::host_status(pb::HostRecord host) {
  if (!on_host_status) co_return silent;
  co_return on_host_status(host.id());
}

Task<Result<>> FakeCalls::verify_disk(pb::HostRecord host, pb::VerifyDiskRequest,
                                      VerifyProgress progress) {
  worked_at.push_back(host.id());
  for (const auto& message : verify_progress) {
    if (!progress(message)) co_return Error{Code::unreachable, "stopped"};
  }
  if (work_error) co_return *work_error;
  co_return Unit{};
}

Task<Result<>> FakeCalls::scrub_disk(pb::HostRecord host, pb::ScrubDiskRequest,
                                     ScrubProgress progress) {
  worked_at.push_back(host.id());
  for (const auto& message : scrub_progress) {
    if (!progress(message)) co_return Error{Code::unreachable, "stopped"};
  }
  if (work_error) co_return *work_error;
  co_return Unit{};
}

Task<Result<pb::DirtyListReply>> FakeCalls::dirty_list(pb::NodeRecord node,
                                                       pb::DirtyListRequest request) {
  if (!on_dirty_list) co_return silent;
  co_return on_dirty_list(node.id(), request);
}

Task<Result<pb::HeldReply>> FakeCalls::held(pb::NodeRecord node, pb::HeldRequest request) {
  if (!on_held) co_return silent;
  co_return on_held(node.id(), request);
}

Task<Result<pb::DiskUsageReply>> FakeCalls::disk_usage(pb::NodeRecord node,
                                                       pb::DiskUsageRequest request) {
  if (!on_disk_usage) co_return silent;
  co_return on_disk_usage(node.id(), request);
}

Task<Result<pb::HealthReply>> FakeCalls::node_health(pb::NodeRecord node) {
  if (!on_node_health) co_return silent;
  co_return on_node_health(node.id());
}

// -- CtlTest

CtlTest::CtlTest(bool layout)
    : daemons_(std::make_unique<MemoryCoordination>(tree_, scheduler_)),
      catalog_(std::make_unique<Catalog>(*daemons_, scheduler_)) {
  if (!layout) return;
  EXPECT_TRUE(sync_wait(catalog_->ensure_layout()).ok());
}

CtlTest::~CtlTest() = default;

void CtlTest::add_node(const std::string& id) {
  EXPECT_TRUE(sync_wait(catalog_->register_node(node_record(id), node_alive())).ok());
}

void CtlTest::add_down_node(const std::string& id) {
  MemoryCoordination session(tree_, scheduler_);  // its alive mark ends with it
  Catalog catalog(session, scheduler_);
  EXPECT_TRUE(sync_wait(catalog.register_node(node_record(id), node_alive())).ok());
}

void CtlTest::add_host(const std::string& id) {
  pb::HostRecord record;
  record.set_id(id);
  record.set_control_address("127.0.0.1:8001");
  record.set_data_address("127.0.0.1:8000");
  record.set_mount_point("/mnt/" + id);
  record.set_incarnation(9);
  EXPECT_TRUE(sync_wait(catalog_->register_host(record)).ok());
}

Outcome CtlTest::run(const std::string& args) {
  std::istringstream words(args);
  std::vector<std::string> list;
  for (std::string word; words >> word;) list.push_back(word);
  return run_words(list);
}

Outcome CtlTest::run_words(const std::vector<std::string>& words) {
  std::ostringstream out;
  std::ostringstream err;
  Environment environment{out, err};
  environment.out_is_terminal = terminal_;
  environment.identity = "ukaictl@test:1";
  environment.author = "alice@test";
  if (typed_) environment.ask_line = [this] { return std::optional(*typed_); };
  environment.variable = [this](const std::string& name) -> std::optional<std::string> {
    const auto found = variables_.find(name);
    if (found == variables_.end()) return std::nullopt;
    return found->second;
  };
  environment.connect = [this](const ConnectOptions& options) -> Result<std::unique_ptr<Cluster>> {
    auto address = parse_metadata_address(options.servers);
    if (!address) return address.error();
    MemoryOptions memory;
    memory.request_timeout = options.timeout;
    return std::unique_ptr<Cluster>(
        std::make_unique<MemoryCluster>(tree_, scheduler_, calls_, memory, metadata_unreachable_));
  };
  environment.unix_s = [] { return std::uint64_t{1'763'838'131}; };
  environment.interrupted = [this] { return interrupted_; };
  Outcome outcome;
  outcome.status = ctl::run(words, environment);
  outcome.out = out.str();
  outcome.err = err.str();
  return outcome;
}

std::string CtlTest::done(const std::string& args) {
  const Outcome outcome = run(args);
  EXPECT_EQ(outcome.status, 0) << args << '\n' << outcome;
  EXPECT_EQ(outcome.err, "") << args;
  return outcome.out;
}

void CtlTest::fails(const std::string& args, int status, const std::string& line) {
  const Outcome outcome = run(args);
  EXPECT_EQ(outcome.status, status) << args << '\n' << outcome;
  EXPECT_EQ(outcome.out, "") << args;
  EXPECT_EQ(outcome.err, "ukaictl: " + line + "\n") << args;
}

DiskEntry CtlTest::disk(const std::string& name) {
  auto id = sync_wait(catalog_->find_disk(DiskName(name)));
  EXPECT_TRUE(id.ok()) << name;
  if (!id) return {};
  auto entry = sync_wait(catalog_->load_disk(*id));
  EXPECT_TRUE(entry.ok()) << name;
  return entry ? *entry : DiskEntry{};
}

Lease CtlTest::hold(const std::string& name, const std::string& id) {
  auto disk_id = DiskId::parse(disk(name).record.id());
  auto taken = sync_wait(catalog_->take_lease(*disk_id, id, pb::LeaseRecord::GUEST));
  EXPECT_TRUE(taken.ok());
  return taken ? taken->lease : Lease{};
}

Result<> CtlTest::clear_tree() {
  daemons_->expire_session();
  auto paths = tree_.paths();
  std::vector<Op> ops;
  for (auto path = paths.rbegin(); path != paths.rend(); ++path) {
    if (*path != "/") ops.push_back(Op::remove(*path));
  }
  return sync_wait(daemons_->commit(std::move(ops)));
}

void CtlTest::lose_members(const std::string& name, const std::vector<std::string>& nodes) {
  auto disk_id = DiskId::parse(disk(name).record.id());
  auto taken = sync_wait(catalog_->take_lease(*disk_id, "h9", pb::LeaseRecord::GUEST));
  ASSERT_TRUE(taken.ok());
  pb::DiskRecord changed = taken->entry.record;
  std::uint64_t sequence = 0;
  for (pb::Member& member : *changed.mutable_members()) {
    for (const std::string& node : nodes) {
      if (member.node() != node) continue;
      member.set_missing(true);
      member.set_since_epoch(changed.epoch());
      member.set_since_sequence(++sequence);
      member.set_reason("deadline");
      member.set_since_unix_s(1'763'838'000);
    }
  }
  EXPECT_TRUE(sync_wait(catalog_->update_disk(taken->lease, taken->entry, changed)).ok());
  EXPECT_TRUE(sync_wait(catalog_->release_lease(taken->lease)).ok());
}

namespace {

/// One that has not ended begins, or ends.
void go_on(JobStore& store, const std::function<void(pb::JobRecord&)>& end) {
  auto active = sync_wait(store.active());
  if (!active) return;
  for (const JobKey& key : *active) {
    auto entry = sync_wait(store.load(key));
    if (!entry) continue;
    pb::JobRecord changed = entry->record;
    const bool begins = changed.state() == pb::JobRecord::QUEUED;
    changed.set_state(pb::JobRecord::RUNNING);
    changed.set_runner("h1");
    changed.set_replicas_total(3);
    changed.set_replicas_done(1);
    changed.set_bytes_moved(4U << 20);
    if (!begins) end(changed);
    static_cast<void>(sync_wait(store.update(*entry, changed)));
  }
}

}  // namespace

void CtlTest::run_jobs(std::function<void(pb::JobRecord&)> end) {
  runner_ = std::jthread([this, end = std::move(end)](const std::stop_token& stop) {
    JobStore store(*daemons_, scheduler_);
    while (!stop.stop_requested()) {
      go_on(store, end);
      std::this_thread::sleep_for(std::chrono::milliseconds(250));  // a follower looks more often
    }
  });
}

void CtlTest::do_moves(const pb::JobRecord& job) {
  const DiskId disk = *DiskId::parse(job.disk_id());
  for (const pb::JobMove& move : job.moves()) {
    auto taken = sync_wait(catalog_->take_lease(disk, "h1", pb::LeaseRecord::JOB));
    ASSERT_TRUE(taken.ok());
    auto segment = sync_wait(catalog_->load_segment(disk, 0));
    ASSERT_TRUE(segment.ok());
    const BlockRange blocks{BlockIndex{move.begin()}, BlockIndex{move.end()}};
    LocationsWanted wanted{{NodeId(move.to())}, blocks, NodeId(move.from())};
    auto now = *add_locations(taken->entry.record, {segment->segment}, wanted);
    if (now.segments.empty()) now.segments = {segment->segment};
    std::vector<BlockReplica> replicas;
    for (BlockIndex block = blocks.begin; block < blocks.end; block = next(block)) {
      replicas.push_back({block, NodeId(move.to())});
    }
    auto arrived = set_status(now.record, now.segments, replicas, SyncStatus::in_sync);
    if (!arrived.segments.empty()) now = arrived;
    wanted = {{NodeId(move.from())}, blocks, NodeId(move.to())};
    if (!move.from().empty()) now = *remove_locations(now.record, now.segments, wanted);
    segment->segment = now.segments.front();
    EXPECT_TRUE(
        sync_wait(catalog_->update_disk_and_map(taken->lease, taken->entry, now.record, {*segment}))
            .ok());
    EXPECT_TRUE(sync_wait(catalog_->release_lease(taken->lease)).ok());
  }
}

std::vector<pb::JobRecord> CtlTest::jobs(const std::string& name) {
  JobStore store(*daemons_, scheduler_);
  auto entries = sync_wait(store.of_disk(*DiskId::parse(disk(name).record.id())));
  std::vector<pb::JobRecord> out;
  if (!entries) return out;
  for (JobEntry& entry : *entries) out.push_back(std::move(entry.record));
  return out;
}

}  // namespace ukai::ctl
