// SPDX-License-Identifier: BSD-2-Clause
#include "daemon/node_service.h"

#include <gmock/gmock.h>

#include <chrono>
#include <filesystem>
#include <fstream>
#include <thread>

#include "base/asio_scheduler.h"
#include "harness/temp_folder.h"
#include "metadata/memory_coordination.h"
#include "metadata/records.h"

namespace ukai {
namespace {

using namespace std::chrono_literals;
using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;

template <class Condition>
bool eventually(Condition condition) {
  const auto deadline = std::chrono::steady_clock::now() + 20s;
  while (!condition()) {
    if (std::chrono::steady_clock::now() > deadline) return false;
    std::this_thread::sleep_for(1ms);
  }
  return true;
}

class NodeServices : public testing::Test {
 protected:
  NodeServices() {
    cluster_ = *sync_wait(catalog_.ensure_layout());
    std::ofstream(boot_id_file()) << "boot-1\n";
  }

  std::string boot_id_file() const { return (folder_.path() / "boot_id").string(); }

  NodeServiceOptions options(const std::string& id = "n1", const std::string& store = "store") {
    NodeServiceOptions out;
    out.id = id;
    out.site = "jp/tokyo";
    out.labels = {"ssd"};
    out.data_root = (folder_.path() / store).string();
    out.reserve_bytes = 0;
    out.boot_id_file = boot_id_file();
    std::filesystem::create_directory(out.data_root);
    return out;
  }

  Result<std::unique_ptr<NodeService>> open(NodeServiceOptions options) {
    return NodeService::open(std::move(options),
                             {cluster_, catalog_, scheduler_, background_, transport_});
  }

  std::unique_ptr<NodeService> registered() {
    auto service = std::move(*open(options()));
    auto done = sync_wait(service->register_at({"127.0.0.1:1", "127.0.0.1:2"}));
    EXPECT_TRUE(done.ok()) << done.error().what;
    return service;
  }

  void fence(NodeService& service, DiskId disk, std::uint64_t epoch) {
    pb::FenceRequest fence;
    fence.mutable_ref()->set_disk_id(disk.to_string());
    fence.mutable_ref()->set_epoch(epoch);
    fence.mutable_ref()->set_session(1);
    fence.set_size(1U << 20);
    fence.set_block_size(64U << 10);
    fence.set_generation(1);
    fence.add_members("n1");
    fence.set_cluster_id(cluster_);
    ASSERT_TRUE(sync_wait(service.local_link()->fence(fence)).ok());
  }

  static pb::TrashRecord blocks_of(DiskId disk) {
    pb::TrashRecord order;
    order.set_disk_id(disk.to_string());
    order.set_epoch(1);
    order.set_released(true);
    order.add_blocks()->set_end(16);
    return order;
  }

  /// Leaves the order in the registry until it is gone.
  void carry_out(const pb::TrashRecord& order) {
    const std::string key = order.disk_id() + (order.blocks().empty() ? "" : "-op");
    const std::string path = Catalog::trash_path(NodeId("n1")) + "/" + key;
    std::vector<Op> ops{Op::create(path, encode_record(order))};
    ASSERT_TRUE(sync_wait(coordination_.commit(ops)).ok());
    ASSERT_TRUE(eventually(
        [&] { return sync_wait(coordination_.get(path)).failed_with(Code::not_found); }));
  }

  NodeInfo info() { return *sync_wait(catalog_.node(NodeId("n1"))); }

  test::TempFolder folder_;
  AsioScheduler scheduler_{2};
  AsioScheduler background_{2};
  MemoryZooKeeper tree_;
  MemoryCoordination coordination_{tree_, scheduler_};
  Catalog catalog_{coordination_, scheduler_};
  Transport transport_;
  std::string cluster_;
};

TEST_F(NodeServices, tell_the_registry_what_others_must_know) {
  auto service = registered();
  const NodeInfo node = info();
  EXPECT_EQ(node.record.data_address(), "127.0.0.1:1");
  EXPECT_EQ(node.record.control_address(), "127.0.0.1:2");
  EXPECT_EQ(node.record.site(), "jp/tokyo");
  EXPECT_THAT(node.record.labels(), ElementsAre("ssd"));
  EXPECT_GT(node.record.capacity_bytes(), 0U);
  EXPECT_FALSE(node.record.store_id().empty());
  ASSERT_TRUE(node.alive);
  EXPECT_EQ(node.alive->boot_id(), "boot-1");
  EXPECT_NE(node.alive->incarnation(), 0U);
  EXPECT_GT(node.alive->free_bytes(), 0U);
}

TEST_F(NodeServices, are_another_incarnation_of_the_same_store_after_a_restart) {
  auto service = registered();
  const NodeInfo before = info();
  service.reset();
  service = registered();
  EXPECT_EQ(info().record.store_id(), before.record.store_id());
  EXPECT_NE(info().alive->incarnation(), before.alive->incarnation());
}

TEST_F(NodeServices, register_again_when_their_session_has_ended) {
  auto service = registered();
  const auto incarnation = info().alive->incarnation();
  coordination_.expire_session();
  ASSERT_TRUE(eventually([&] { return info().alive.has_value(); }));
  EXPECT_EQ(info().alive->incarnation(), incarnation);
}

TEST_F(NodeServices, refuse_an_id_that_belongs_to_another_folder) {
  auto service = registered();
  auto other = std::move(*open(options("n1", "other")));
  auto done = sync_wait(other->register_at({"127.0.0.1:3", "127.0.0.1:4"}));
  ASSERT_TRUE(done.failed_with(Code::refused));
  EXPECT_THAT(done.error().what, HasSubstr("n1"));
  EXPECT_EQ(info().record.data_address(), "127.0.0.1:1");
}

TEST_F(NodeServices, delete_what_the_registry_orders_and_nothing_else) {
  auto service = registered();
  const DiskId doomed = DiskId::random();
  const DiskId kept = DiskId::random();
  fence(*service, doomed, 1);
  fence(*service, kept, 1);
  pb::TrashRecord all;
  all.set_disk_id(doomed.to_string());
  carry_out(all);
  EXPECT_EQ(service->node().health().disks(), 1U);
  pb::DiskUsageRequest usage;
  usage.set_disk_id(kept.to_string());
  EXPECT_TRUE(service->node().disk_usage(usage).ok());
}

TEST_F(NodeServices, keep_nothing_of_a_disk_that_has_left_them) {
  auto service = registered();
  const DiskId disk = DiskId::random();
  fence(*service, disk, 1);
  carry_out(blocks_of(disk));
  EXPECT_TRUE(eventually([&] { return service->node().health().disks() == 0; }));
}

TEST_F(NodeServices, keep_nothing_of_a_disk_that_had_left_them_before_they_ended) {
  const DiskId disk = DiskId::random();
  {
    auto service = std::move(*open(options()));
    fence(*service, disk, 1);
    ASSERT_TRUE(service->node().delete_blocks(blocks_of(disk)).ok());
  }
  auto service = registered();
  EXPECT_TRUE(eventually([&] { return service->node().health().disks() == 0; }));
}

TEST_F(NodeServices, keep_a_disk_that_somebody_has_opened_since_it_left) {
  auto service = std::move(*open(options()));
  const DiskId disk = DiskId::random();
  fence(*service, disk, 1);
  ASSERT_TRUE(service->node().delete_blocks(blocks_of(disk)).ok());
  EXPECT_THAT(service->node().left_disks(), ElementsAre(disk));
  fence(*service, disk, 2);
  EXPECT_THAT(service->node().left_disks(), IsEmpty());
  EXPECT_TRUE(service->node().delete_left(disk).failed_with(Code::busy));
  EXPECT_EQ(service->node().health().disks(), 1U);
}

TEST_F(NodeServices, say_in_one_line_why_they_cannot_open) {
  NodeServiceOptions bad = options();
  bad.boot_id_file = "/nonexistent/boot_id";
  EXPECT_EQ(open(bad).error().what, "cannot read the boot id from /nonexistent/boot_id");
  std::ofstream(boot_id_file(), std::ios::trunc).flush();
  EXPECT_THAT(open(options()).error().what, HasSubstr("does not hold a boot id"));
  std::ofstream(boot_id_file()) << "boot-1";
  bad = options();
  bad.data_root = "/nonexistent";
  EXPECT_THAT(open(bad).error().what, HasSubstr("/nonexistent"));

  auto first = open(options());
  ASSERT_TRUE(first.ok()) << first.error().what;
  auto second = open(options());
  ASSERT_FALSE(second.ok());
  EXPECT_THAT(second.error().what, HasSubstr("in use"));
}

}  // namespace
}  // namespace ukai
