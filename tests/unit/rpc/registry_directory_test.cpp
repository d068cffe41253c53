// SPDX-License-Identifier: BSD-2-Clause
#include "rpc/registry_directory.h"

#include <gtest/gtest.h>

#include <condition_variable>
#include <map>
#include <thread>

#include "base/asio_scheduler.h"
#include "metadata/memory_coordination.h"
#include "rpc/channels.h"
#include "rpc/data_server.h"

namespace ukai {
namespace {

using namespace std::chrono_literals;

template <class Condition>
bool eventually(Condition condition) {
  const auto deadline = std::chrono::steady_clock::now() + 20s;
  while (!condition()) {
    if (std::chrono::steady_clock::now() > deadline) return false;
    std::this_thread::sleep_for(1ms);
  }
  return true;
}

/// Says yes to everything.
class YesHandler final : public IoHandler {
 public:
  std::optional<IoReply> answer_now(const IoRequest& /*request*/) override { return IoReply{}; }
  void start(IoRequest /*request*/, Done done) override { done(IoReply{}); }
};

/// A node's own coordination session, with which it registers.
struct Registrant {
  Registrant(MemoryZooKeeper& tree, Scheduler& scheduler)
      : coordination(tree, scheduler), catalog(coordination, scheduler) {}

  void announce(const std::string& id, const std::string& data_address, std::uint64_t incarnation) {
    pb::NodeRecord record;
    record.set_id(id);
    record.set_site("jp/tokyo");
    record.set_store_id("store-" + id);
    record.set_data_address(data_address);
    record.set_control_address("127.0.0.1:1");
    pb::NodeAlive alive;
    alive.set_incarnation(incarnation);
    auto done = sync_wait(catalog.register_node(record, alive));
    ASSERT_TRUE(done.ok()) << done.error().what;
  }

  MemoryCoordination coordination;
  Catalog catalog;
};

class Directory : public testing::Test {
 protected:
  static void SetUpTestSuite() { prepare_grpc(); }

  Directory() { EXPECT_TRUE(sync_wait(catalog_.ensure_layout()).ok()); }

  std::unique_ptr<RegistryDirectory> follow(LocalNode local = {}) {
    auto directory =
        std::make_unique<RegistryDirectory>(catalog_, scheduler_, transport_, std::move(local));
    EXPECT_TRUE(sync_wait(directory->start()).ok());
    return directory;
  }

  std::string serve(const std::string& id) {
    DataServerOptions options{"127.0.0.1:0", {node_identity(id)}, 1};
    server_ = std::move(*DataServer::start(options, handler_));
    return "127.0.0.1:" + std::to_string(server_->port());
  }

  AsioScheduler scheduler_{2};
  MemoryZooKeeper tree_;
  MemoryCoordination coordination_{tree_, scheduler_};
  Catalog catalog_{coordination_, scheduler_};
  Transport transport_;
  YesHandler handler_;
  std::unique_ptr<DataServer> server_;
};

TEST_F(Directory, knows_the_nodes_that_are_there_at_once) {
  Registrant node(tree_, scheduler_);
  node.announce("n1", "127.0.0.1:2", 7);
  auto directory = follow();
  const auto entry = directory->find(NodeId("n1"));
  ASSERT_TRUE(entry);
  EXPECT_TRUE(entry->alive);
  EXPECT_EQ(entry->incarnation, 7U);
  EXPECT_EQ(entry->site, "jp/tokyo");
  EXPECT_EQ(entry->data_address, "127.0.0.1:2");
  EXPECT_EQ(entry->control_address, "127.0.0.1:1");
  EXPECT_FALSE(entry->local);
  EXPECT_FALSE(directory->find(NodeId("n2")));
}

TEST_F(Directory, follows_nodes_that_come_go_restart_and_move) {
  auto directory = follow();
  std::mutex mutex;
  int events = 0;
  auto subscription = directory->subscribe([&](const NodeId& id) {
    EXPECT_EQ(id, NodeId("n1"));
    std::lock_guard lock(mutex);
    ++events;
  });
  auto find = [&] { return directory->find(NodeId("n1")); };

  auto node = std::make_unique<Registrant>(tree_, scheduler_);
  node->announce("n1", "127.0.0.1:2", 7);
  ASSERT_TRUE(eventually([&] { return find() && find()->alive; }));
  const auto link = find()->link;

  node = nullptr;  // its session ends
  ASSERT_TRUE(eventually([&] { return !find()->alive; }));
  EXPECT_EQ(find()->incarnation, 0U);

  node = std::make_unique<Registrant>(tree_, scheduler_);
  node->announce("n1", "127.0.0.1:2", 8);
  ASSERT_TRUE(eventually([&] { return find()->incarnation == 8; }));
  EXPECT_EQ(find()->link, link);

  node->announce("n1", "127.0.0.1:3", 9);
  ASSERT_TRUE(eventually([&] { return find()->data_address == "127.0.0.1:3"; }));
  EXPECT_NE(find()->link, link);

  std::vector<Op> removal{Op::remove("/ukai/nodes/n1/alive"), Op::remove("/ukai/nodes/n1/trash"),
                          Op::remove("/ukai/nodes/n1")};
  ASSERT_TRUE(sync_wait(coordination_.commit(removal)).ok());
  ASSERT_TRUE(eventually([&] { return !find(); }));
  ASSERT_TRUE(eventually([&] {
    std::lock_guard lock(mutex);
    return events >= 5;
  }));
}

TEST_F(Directory, connects_to_a_node_that_is_asked_for_and_tells_when_it_breaks) {
  auto directory = follow();
  std::atomic<int> events = 0;
  auto subscription = directory->subscribe([&](const NodeId&) { ++events; });
  Registrant node(tree_, scheduler_);
  node.announce("n1", serve("n1"), 7);
  auto connected = [&] {
    const auto found = directory->find(NodeId("n1"));
    return found && found->link->condition().connected;
  };
  ASSERT_TRUE(eventually(connected));
  ASSERT_TRUE(eventually([&] { return events >= 1; }));
  const int before = events;
  server_.reset();
  ASSERT_TRUE(eventually([&] { return !connected(); }));
  ASSERT_TRUE(eventually([&] { return events > before; }));

  subscription.reset();
  const int last = events;
  node.announce("n1", serve("n1"), 8);
  ASSERT_TRUE(eventually(connected));
  EXPECT_EQ(events, last);
}

class NullLink final : public NodeLink {
 public:
  void submit(IoRequest /*request*/, Duration /*deadline*/, Done done) override { done({}); }
  Task<Result<pb::FenceReply>> fence(pb::FenceRequest) override { co_return none(); }
  Task<Result<pb::DirtyListReply>> dirty_list(pb::DirtyListRequest) override { co_return none(); }
  Task<Result<pb::CleanReply>> clean(pb::CleanRequest) override { co_return none(); }
  Task<Result<pb::SetMissingReply>> set_missing(pb::SetMissingRequest) override {
    co_return none();
  }
  Task<Result<pb::PullReply>> pull(pb::PullRequest) override { co_return none(); }
  Task<Result<pb::HashReply>> hash(pb::HashRequest) override { co_return none(); }
  Task<Result<pb::CloneReply>> clone(pb::CloneRequest) override { co_return none(); }
  Task<Result<pb::DiskUsageReply>> disk_usage(pb::DiskUsageRequest) override { co_return none(); }
  Task<Result<pb::HealthReply>> health() override { co_return none(); }
  Condition condition() const override { return {}; }

 private:
  static Error none() { return Error{Code::io, ""}; }
};

TEST_F(Directory, measures_how_far_nodes_are_that_nobody_uses) {
  Registrant node(tree_, scheduler_);
  node.announce("n1", serve("n1"), 7);
  auto directory = follow();
  const auto link = directory->find(NodeId("n1"))->link;
  EXPECT_TRUE(eventually([&] { return link->condition().latency > Duration{}; }));
}

TEST_F(Directory, gives_out_the_local_node_as_it_is) {
  auto link = std::make_shared<NullLink>();
  auto directory = follow({NodeId("h1"), link});
  EXPECT_FALSE(directory->find(NodeId("h1"))) << "not registered yet";
  Registrant node(tree_, scheduler_);
  node.announce("h1", "127.0.0.1:2", 7);
  ASSERT_TRUE(eventually([&] { return directory->find(NodeId("h1")).has_value(); }));
  EXPECT_TRUE(directory->find(NodeId("h1"))->local);
  EXPECT_EQ(directory->find(NodeId("h1"))->link, link);
}

TEST_F(Directory, keeps_what_it_knows_while_the_registry_is_away) {
  Registrant node(tree_, scheduler_);
  node.announce("n1", "127.0.0.1:2", 7);
  auto directory = follow();
  coordination_.suspend();
  EXPECT_TRUE(directory->find(NodeId("n1")));
  node.announce("n2", "127.0.0.1:3", 8);
  EXPECT_FALSE(directory->find(NodeId("n2")));
  coordination_.resume();
  EXPECT_TRUE(eventually([&] { return directory->find(NodeId("n2")).has_value(); }));
}

}  // namespace
}  // namespace ukai
