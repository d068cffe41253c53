// SPDX-License-Identifier: BSD-2-Clause
//
// A storage node as its clients see it: over loopback, and as a function call. One suite for both.
#include <gmock/gmock.h>

#include <condition_variable>
#include <mutex>

#include "base/asio_scheduler.h"
#include "rpc/channels.h"
#include "rpc/control_server.h"
#include "rpc/data_server.h"
#include "rpc/grpc_node_link.h"
#include "rpc/io_handlers.h"
#include "rpc/local_node_link.h"
#include "rpc/node_control_service.h"
#include "store/memory_block_store.h"

namespace ukai {
namespace {

using namespace std::chrono_literals;
using testing::HasSubstr;

constexpr std::uint32_t block_size = 64U << 10;

std::string loopback(std::uint16_t port) { return "127.0.0.1:" + std::to_string(port); }

Task<IoReply> value_of(OneShot<IoReply> answered) { co_return co_await answered; }

class CountingScheduler final : public Scheduler {
 public:
  explicit CountingScheduler(unsigned threads) : scheduler_(threads) {}
  TimePoint now() const override { return scheduler_.now(); }
  void post(Handler handler) override {
    ++posted;
    scheduler_.post(std::move(handler));
  }
  TimerId after(Duration delay, Handler handler) override {
    return scheduler_.after(delay, std::move(handler));
  }
  bool cancel(TimerId id) override { return scheduler_.cancel(id); }

  std::atomic<int> posted{0};

 private:
  AsioScheduler scheduler_;
};

/// A storage node behind real servers.
class ServedNode {
 public:
  ServedNode(Scheduler& scheduler, const std::string& id)
      : id_(id),
        node_(store, scheduler,
              StorageNodeOptions{NodeId(id), "cluster", "boot", 7, no_peers(), &background}),
        handler_(node_, pool, background) {
    DataServerOptions options{"127.0.0.1:0", {node_identity(id)}, 1};
    data_ = std::move(*DataServer::start(options, handler_));
    control_ =
        std::move(*ControlServer::start("127.0.0.1:0", {make_node_control_service(node_, id)}));
  }

  NodeAddress address() const { return {id_, loopback(data_->port()), loopback(control_->port())}; }
  StorageNode& node() { return node_; }
  void stop_control() { control_.reset(); }

  MemoryBlockStore store;
  WorkerPool pool{2};
  CountingScheduler background{1};

 private:
  static PeerFinder no_peers() {
    return [](const pb::PullRequest&) { return nullptr; };
  }

  const std::string id_;
  StorageNode node_;
  NodeIoHandler handler_;
  std::unique_ptr<DataServer> data_;
  std::unique_ptr<ControlServer> control_;
};

enum class Kind { grpc, local };

class NodeLinks : public testing::TestWithParam<Kind> {
 protected:
  static void SetUpTestSuite() { prepare_grpc(); }

  void SetUp() override {
    if (GetParam() == Kind::grpc) {
      link_ = std::make_unique<GrpcNodeLink>(transport_, scheduler_, node_.address(), nullptr);
    } else {
      link_ = std::make_unique<LocalNodeLink>(node_.node(), node_.pool, scheduler_);
    }
  }

  pb::SessionRef ref(std::uint64_t session = 1) const {
    pb::SessionRef out;
    out.set_disk_id(disk_.to_string());
    out.set_epoch(1);
    out.set_session(session);
    return out;
  }

  Result<pb::FenceReply> fence(std::uint64_t session = 1, const std::string& cluster = "cluster") {
    pb::FenceRequest request;
    *request.mutable_ref() = ref(session);
    request.set_disk_name("vm-1");
    request.set_size(16 * block_size);
    request.set_block_size(block_size);
    request.set_generation(1);
    request.set_holder("h1");
    request.add_members("n1");
    request.add_members("n2");
    request.set_cluster_id(cluster);
    return sync_wait(link_->fence(request));
  }

  IoRequest io(IoOp op, std::uint32_t length_bytes = 0) const {
    IoRequest request;
    request.op = op;
    request.disk = disk_;
    request.epoch = Epoch{1};
    request.session = Session{1};
    request.sequence = Sequence{1};
    request.block = BlockIndex{3};
    request.length_bytes = length_bytes;
    return request;
  }

  IoReply send(IoRequest request, Duration deadline = 10s) {
    OneShot<IoReply> answered;
    link_->submit(std::move(request), deadline,
                  [answered](IoReply reply) { answered.resolve(std::move(reply)); });
    return sync_wait(value_of(answered));
  }

  IoReply write(const std::string& text) {
    IoRequest request = io(IoOp::write, static_cast<std::uint32_t>(text.size()));
    request.data = Payload(Bytes::copy_of(text));
    return send(std::move(request));
  }

  const DiskId disk_ = DiskId::random();
  AsioScheduler scheduler_{2};
  Transport transport_;
  ServedNode node_{scheduler_, "n1"};
  std::unique_ptr<NodeLink> link_;
};

INSTANTIATE_TEST_SUITE_P(Both, NodeLinks, testing::Values(Kind::grpc, Kind::local),
                         [](const auto& which) {
                           return which.param == Kind::grpc ? "grpc" : "local";
                         });

/// What nodes ask of each other.
class LinksToOthers : public NodeLinks {};
INSTANTIATE_TEST_SUITE_P(Grpc, LinksToOthers, testing::Values(Kind::grpc));

TEST_P(LinksToOthers, read_for_copies_in_the_background) {
  ASSERT_TRUE(fence().ok());
  ASSERT_TRUE(write(std::string(4096, 'w')).ok);
  ASSERT_TRUE(send(io(IoOp::read, 4096)).ok);
  EXPECT_EQ(node_.background.posted, 0);
  IoRequest copying = io(IoOp::read, 4096);
  copying.session = Session{0};
  const IoReply reply = send(copying);
  ASSERT_TRUE(reply.ok) << reply.what;
  EXPECT_EQ(reply.data.to_string(), std::string(4096, 'w'));
  EXPECT_EQ(node_.background.posted, 1);
}

TEST_P(LinksToOthers, hash_for_copies_in_the_background) {
  ASSERT_TRUE(fence().ok());
  ASSERT_TRUE(write(std::string(4096, 'w')).ok);
  EXPECT_EQ(node_.background.posted, 0);
  pb::HashRequest hash;
  *hash.mutable_ref() = ref();
  hash.set_block(raw(io(IoOp::write).block));
  hash.set_generation(1);
  hash.set_length(block_size);
  ASSERT_TRUE(sync_wait(link_->hash(hash)).ok());
  EXPECT_EQ(node_.background.posted, 1);
}

TEST_P(NodeLinks, a_session_writes_flushes_and_reads_back) {
  ASSERT_TRUE(fence().ok());
  EXPECT_TRUE(write("hello").ok);
  EXPECT_TRUE(send(io(IoOp::flush)).ok);
  EXPECT_TRUE(send(io(IoOp::ping)).ok);
  const IoReply reply = send(io(IoOp::read, 6));
  EXPECT_EQ(reply.data.to_string(), std::string("hello\0", 6));
  EXPECT_TRUE(link_->condition().connected);
}

TEST_P(NodeLinks, what_the_node_refuses_arrives_with_its_code_and_words) {
  const IoReply early = send(io(IoOp::read, 1));
  EXPECT_EQ(early.code, Code::not_admitted) << early.what;
  EXPECT_FALSE(early.what.empty());

  const auto foreign = fence(1, "another");
  ASSERT_TRUE(foreign.failed_with(Code::refused));
  EXPECT_THAT(foreign.error().what, HasSubstr("another"));

  ASSERT_TRUE(fence(5).ok());
  EXPECT_TRUE(fence(4).failed_with(Code::stale));
  EXPECT_EQ(send(io(IoOp::read, 1)).code, Code::stale);
}

TEST_P(NodeLinks, carries_every_control_call) {
  ASSERT_EQ(fence()->boot_id(), "boot");
  ASSERT_TRUE(write("x").ok);

  pb::DirtyListRequest dirty;
  *dirty.mutable_ref() = ref();
  EXPECT_EQ(sync_wait(link_->dirty_list(dirty))->blocks_size(), 1);

  pb::SetMissingRequest missing;
  *missing.mutable_ref() = ref();
  missing.add_members("n1");
  missing.add_members("n2");
  missing.set_missing_mask(2);
  EXPECT_TRUE(sync_wait(link_->set_missing(missing)).ok());
  dirty.set_missed_by("n2");
  EXPECT_EQ(sync_wait(link_->dirty_list(dirty))->blocks_size(), 1);

  pb::HashRequest hash;
  *hash.mutable_ref() = ref();
  hash.set_block(3);
  hash.set_generation(1);
  hash.set_length(block_size);
  EXPECT_EQ(sync_wait(link_->hash(hash))->hashes().size(), 16U);

  pb::CleanRequest clean;
  *clean.mutable_ref() = ref();
  clean.set_through_sequence(1);
  EXPECT_TRUE(sync_wait(link_->clean(clean)).ok());

  pb::DiskUsageRequest usage;
  usage.set_disk_id(disk_.to_string());
  EXPECT_EQ(sync_wait(link_->disk_usage(usage))->blocks(), 1U);
  EXPECT_EQ(sync_wait(link_->health())->node_id(), "n1");

  pb::PullRequest pull;  // from nobody
  *pull.mutable_ref() = ref();
  pull.set_block(3);
  pull.set_generation(1);
  pull.set_length(block_size);
  pull.set_source_node("n2");
  EXPECT_FALSE(sync_wait(link_->pull(pull)).ok());
}

/// A gate that threads of the store wait at. Opens when it is destroyed, and outlives who waited.
class Gate {
 public:
  ~Gate() {
    open();
    std::unique_lock lock(mutex_);
    changed_.wait(lock, [this] { return waiting_ == 0; });
  }
  void pass() {
    std::unique_lock lock(mutex_);
    ++waiting_;
    changed_.notify_all();
    changed_.wait(lock, [this] { return open_; });
    --waiting_;
    changed_.notify_all();
  }
  void wait_for_somebody() {
    std::unique_lock lock(mutex_);
    changed_.wait(lock, [this] { return waiting_ > 0; });
  }
  void open() {
    std::lock_guard lock(mutex_);
    open_ = true;
    changed_.notify_all();
  }

 private:
  std::mutex mutex_;
  std::condition_variable changed_;
  bool open_ = false;  // by mutex_
  int waiting_ = 0;    // by mutex_
};

TEST_P(NodeLinks, a_device_that_hangs_costs_no_more_than_the_deadline) {
  ASSERT_TRUE(fence().ok());
  ASSERT_TRUE(write("hot").ok);
  Gate gate;
  node_.store.set_hook([&](MemoryBlockStore::Op op, const BlockKey&) {
    if (op == MemoryBlockStore::Op::flush) gate.pass();
  });
  const IoReply reply = send(io(IoOp::flush), 50ms);
  EXPECT_EQ(reply.code, Code::unreachable);
  // Others are served meanwhile.
  EXPECT_TRUE(send(io(IoOp::read, 3)).ok);
  gate.open();
}

TEST_P(NodeLinks, cold_reads_do_not_hold_up_hot_ones) {
  ASSERT_TRUE(fence().ok());
  ASSERT_TRUE(write("hot").ok);
  node_.store.set_cold(true);
  EXPECT_EQ(send(io(IoOp::read, 3)).data.to_string(), "hot");
}

class GrpcNodeLinks : public NodeLinks {};
INSTANTIATE_TEST_SUITE_P(Only, GrpcNodeLinks, testing::Values(Kind::grpc),
                         [](const auto&) { return "grpc"; });

TEST_P(GrpcNodeLinks, calls_meant_for_another_node_are_refused) {
  NodeAddress wrong = node_.address();
  wrong.id = "n2";
  link_ = std::make_unique<GrpcNodeLink>(transport_, scheduler_, wrong, nullptr);
  const auto fenced = fence();
  ASSERT_TRUE(fenced.failed_with(Code::refused));
  EXPECT_THAT(fenced.error().what, HasSubstr("meant for node/n2, but this is node/n1"));
}

TEST_P(GrpcNodeLinks, control_calls_to_nobody_fail_as_unreachable) {
  node_.stop_control();
  const auto fenced = fence();
  ASSERT_FALSE(fenced.ok());
  EXPECT_EQ(fenced.code(), Code::unreachable);
  EXPECT_THAT(fenced.error().what, HasSubstr("n1 is not reachable"));
}

TEST_P(GrpcNodeLinks, closing_the_link_ends_calls_under_way) {
  ASSERT_TRUE(fence().ok());
  ASSERT_TRUE(write("held").ok);               // a block without data is hashed without a read
  const auto gate = std::make_shared<Gate>();  // the node goes on for a caller that has gone
  node_.store.set_hook([gate](MemoryBlockStore::Op op, const BlockKey&) {
    if (op == MemoryBlockStore::Op::read) gate->pass();
  });
  std::mutex mutex;
  std::condition_variable done;
  std::optional<Code> code;
  pb::HashRequest hash;
  *hash.mutable_ref() = ref();
  hash.set_generation(1);
  hash.set_block(raw(io(IoOp::write).block));
  hash.set_length(block_size);
  spawn_into<Result<pb::HashReply>>(link_->hash(hash), [&](Result<pb::HashReply> reply) {
    std::lock_guard lock(mutex);
    code = reply.ok() ? Code::io : reply.code();
    done.notify_one();
  });
  gate->wait_for_somebody();
  link_.reset();
  std::unique_lock lock(mutex);
  ASSERT_TRUE(done.wait_for(lock, 10s, [&] { return code.has_value(); }));
  EXPECT_EQ(code, Code::unreachable);
  gate->open();
}

}  // namespace
}  // namespace ukai
