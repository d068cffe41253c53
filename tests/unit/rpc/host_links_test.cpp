// SPDX-License-Identifier: BSD-2-Clause
#include <gmock/gmock.h>

#include <atomic>

#include "base/asio_scheduler.h"
#include "rpc/channels.h"
#include "rpc/control_server.h"
#include "rpc/data_server.h"
#include "rpc/grpc_host_peers.h"
#include "rpc/host_control_service.h"
#include "rpc/host_link.h"
#include "rpc/io_handlers.h"

namespace ukai {
namespace {

using namespace std::chrono_literals;

/// Answers what other hosts and ukaictl ask; the rest nobody calls here.
class FakeDisks final : public HostDisks {
 public:
  explicit FakeDisks(Scheduler& scheduler) : scheduler_(scheduler) {}

  Task<Result<pb::ChangeDiskReply>> change_disk(pb::ChangeDiskRequest request) override {
    if (request.rename() == "taken") co_return Error{Code::exists, "disk \"taken\" exists"};
    pb::ChangeDiskReply reply;
    reply.mutable_record()->set_name(request.rename());
    co_return reply;
  }
  Task<Result<pb::TakeSnapshotsReply>> take_snapshots(pb::TakeSnapshotsRequest request) override {
    pb::TakeSnapshotsReply reply;
    reply.set_held_us(static_cast<std::uint64_t>(request.snapshots_size()));
    co_return reply;
  }
  Task<Result<pb::CloneDiskReply>> clone_disk(pb::CloneDiskRequest request) override {
    pb::CloneDiskReply reply;
    reply.mutable_record()->set_name(request.new_name());
    co_return reply;
  }
  Task<Result<>> diff_disk(pb::DiffDiskRequest /*request*/,
                           std::function<bool(const pb::DiffProgress&)> progress) override {
    for (std::uint64_t i = 0; i < 10; ++i) {
      pb::DiffProgress now;
      now.add_ranges()->set_begin(i);
      now.set_finished(i == 9);
      progress(now);
    }
    co_return Unit{};
  }
  Task<Result<std::vector<DiskName>>> list_snapshots() override {
    co_return std::vector<DiskName>();
  }
  Task<Result<pb::YieldLeaseReply>> yield_lease(pb::YieldLeaseRequest request) override {
    if (request.asked_by() == "h9") co_return Error{Code::busy, "a guest has it open"};
    co_return pb::YieldLeaseReply();
  }
  Task<Result<pb::DiskStatusReply>> disk_status(pb::DiskStatusRequest request) override {
    pb::DiskStatusReply reply;
    for (const std::string& id : request.disk_ids()) reply.add_disks()->set_disk_id(id);
    co_return reply;
  }
  Task<Result<pb::HostStatusReply>> host_status() override {
    pb::HostStatusReply reply;
    reply.set_host_id("h1");
    co_return reply;
  }
  Task<Result<>> verify_disk(pb::VerifyDiskRequest /*request*/,
                             std::function<bool(const pb::VerifyProgress&)> progress) override {
    for (std::uint64_t block = 0; block < 100; ++block) {
      pb::VerifyProgress now;
      now.set_blocks_done(block + 1);
      now.add_differences()->set_block(block);
      progress(now);
    }
    co_return Error{Code::io, "no replica of block 100"};
  }
  void run_jobs() override {}
  /// Goes on until nobody listens, or has come to its end.
  Task<Result<>> scrub_disk(pb::ScrubDiskRequest /*request*/,
                            std::function<bool(const pb::ScrubProgress&)> progress) override {
    for (std::uint64_t block = 1; block <= scrub_blocks_; ++block) {
      co_await sleep_for(scheduler_, 1ms);
      pb::ScrubProgress now;
      now.set_blocks_done(block);
      if (!progress(now)) {
        abandoned_ = true;
        co_return Error{Code::shut_down, "nobody listens"};
      }
    }
    co_return Unit{};
  }
  void serve_reader(IoRequest request, std::function<void(IoReply)> done) override {
    scheduler_.post([request, done = std::move(done)] {
      IoReply reply;
      reply.data = Payload(Bytes::copy_of(std::string(request.length_bytes, 'r')));
      done(std::move(reply));
    });
  }

  void set_scrub_blocks(std::uint64_t blocks) { scrub_blocks_ = blocks; }
  bool abandoned() const { return abandoned_; }

  Task<Result<std::vector<DiskName>>> list() override { co_return Error{Code::io, ""}; }
  Task<Result<DiskAttributes>> stat(DiskName /*name*/) override { co_return Error{Code::io, ""}; }
  Task<Result<std::shared_ptr<OpenDisk>>> open(DiskName /*name*/, OpenMode /*mode*/) override {
    co_return Error{Code::io, ""};
  }
  Task<Result<std::shared_ptr<OpenDisk>>> resume(pb::OpenState /*state*/) override {
    co_return Error{Code::io, ""};
  }
  Task<Result<StoreSpace>> space() override { co_return Error{Code::io, ""}; }
  Task<void> shut_down() override { co_return; }

 private:
  Scheduler& scheduler_;
  std::atomic<bool> abandoned_ = false;
  std::atomic<std::uint64_t> scrub_blocks_{100};
};

class HostLinks : public testing::Test {
 protected:
  static void SetUpTestSuite() { prepare_grpc(); }

  HostLinks() {
    DataServerOptions options{"127.0.0.1:0", {host_identity("h1")}, 1};
    data_ = std::move(*DataServer::start(options, routing_));
    control_ =
        std::move(*ControlServer::start("127.0.0.1:0", {make_host_control_service(disks_, "h1")}));
  }

  pb::HostRecord record(const std::string& id = "h1") const {
    pb::HostRecord host;
    host.set_id(id);
    host.set_data_address("127.0.0.1:" + std::to_string(data_->port()));
    host.set_control_address("127.0.0.1:" + std::to_string(control_->port()));
    return host;
  }

  static IoReply ask(HostPeers& peers, const pb::HostRecord& host, IoOp op) {
    IoRequest request;
    request.op = op;
    request.length_bytes = 3;
    OneShot<IoReply> answer;
    peers.submit(host, std::move(request), 10s,
                 [answer](IoReply reply) { answer.resolve(std::move(reply)); });
    return sync_wait(wait_for(answer));
  }
  static Task<IoReply> wait_for(OneShot<IoReply> answer) { co_return co_await answer; }

  AsioScheduler scheduler_{2};
  FakeDisks disks_{scheduler_};
  Transport transport_;
  HostIoHandler reader_{disks_};
  RoutingIoHandler routing_{nullptr, &reader_};
  std::unique_ptr<DataServer> data_;
  std::unique_ptr<ControlServer> control_;
};

TEST_F(HostLinks, carry_every_unary_call_and_its_errors) {
  HostLink link(transport_, record());
  pb::ChangeDiskRequest change;
  change.set_rename("vm-2");
  EXPECT_EQ(sync_wait(link.change_disk(change))->record().name(), "vm-2");
  change.set_rename("taken");
  const auto taken = sync_wait(link.change_disk(change));
  ASSERT_TRUE(taken.failed_with(Code::exists));
  EXPECT_EQ(taken.error().what, "disk \"taken\" exists");

  pb::YieldLeaseRequest yield;
  EXPECT_TRUE(sync_wait(link.yield_lease(yield)).ok());
  yield.set_asked_by("h9");
  EXPECT_TRUE(sync_wait(link.yield_lease(yield)).failed_with(Code::busy));

  pb::DiskStatusRequest status;
  status.add_disk_ids("d");
  EXPECT_EQ(sync_wait(link.disk_status(status))->disks(0).disk_id(), "d");
  EXPECT_EQ(sync_wait(link.host_status())->host_id(), "h1");
}

TEST_F(HostLinks, report_progress_up_to_the_last_of_it) {
  HostLink link(transport_, record());
  pb::ScrubDiskRequest request;
  disks_.set_scrub_blocks(20);
  std::uint64_t last = 0;
  auto scrubbed = sync_wait(link.scrub_disk(request, [&](const pb::ScrubProgress& progress) {
    EXPECT_GT(progress.blocks_done(), last);
    last = progress.blocks_done();
    return true;
  }));
  EXPECT_TRUE(scrubbed.ok());
  EXPECT_EQ(last, 20U);
}

TEST_F(HostLinks, lose_no_difference_and_tell_how_it_ended) {
  HostLink link(transport_, record());
  std::vector<std::uint64_t> blocks;
  pb::VerifyDiskRequest request;
  auto verified = sync_wait(link.verify_disk(request, [&](const pb::VerifyProgress& progress) {
    for (const auto& difference : progress.differences()) blocks.push_back(difference.block());
    return true;
  }));
  ASSERT_TRUE(verified.failed_with(Code::io));
  EXPECT_EQ(verified.error().what, "no replica of block 100");
  ASSERT_EQ(blocks.size(), 100U);
  for (std::uint64_t i = 0; i < 100; ++i) EXPECT_EQ(blocks[i], i);
}

TEST_F(HostLinks, stop_the_work_of_a_caller_who_has_heard_enough) {
  HostLink link(transport_, record());
  pb::ScrubDiskRequest request;
  disks_.set_scrub_blocks(100'000);
  auto scrubbed =
      sync_wait(link.scrub_disk(request, [](const pb::ScrubProgress&) { return false; }));
  EXPECT_TRUE(scrubbed.failed_with(Code::unreachable));
  const auto deadline = std::chrono::steady_clock::now() + 10s;
  while (!disks_.abandoned() && std::chrono::steady_clock::now() < deadline) {
    std::this_thread::sleep_for(1ms);
  }
  EXPECT_TRUE(disks_.abandoned());
}

TEST_F(HostLinks, readers_reach_the_host_and_nothing_else_on_its_port) {
  GrpcHostPeers peers(transport_, scheduler_);
  EXPECT_EQ(ask(peers, record(), IoOp::read_disk).data.to_string(), "rrr");
  EXPECT_EQ(ask(peers, record(), IoOp::seek_disk).data.to_string(), "rrr");
  EXPECT_EQ(ask(peers, record(), IoOp::read).code, Code::refused);
  pb::YieldLeaseRequest yield;
  yield.set_asked_by("h9");
  EXPECT_TRUE(sync_wait(peers.yield_lease(record(), yield)).failed_with(Code::busy));
}

TEST_F(HostLinks, a_host_that_moved_gets_a_new_link) {
  GrpcHostPeers peers(transport_, scheduler_);
  pb::HostRecord gone = record();
  gone.set_data_address("127.0.0.1:1");
  EXPECT_EQ(ask(peers, gone, IoOp::read_disk).code, Code::unreachable);
  EXPECT_TRUE(ask(peers, record(), IoOp::read_disk).ok);
}

TEST_F(HostLinks, calls_meant_for_another_host_are_refused) {
  HostLink link(transport_, record("h2"));
  EXPECT_TRUE(sync_wait(link.host_status()).failed_with(Code::refused));
  pb::ScrubDiskRequest request;
  EXPECT_TRUE(sync_wait(link.scrub_disk(request, [](const auto&) {
                return true;
              })).failed_with(Code::refused));
}

}  // namespace
}  // namespace ukai
