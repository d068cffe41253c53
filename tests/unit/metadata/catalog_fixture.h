// SPDX-License-Identifier: BSD-2-Clause
#pragma once

#include <gtest/gtest.h>

#include <string>
#include <utility>

#include "harness/manual_scheduler.h"
#include "metadata/memory_coordination.h"
#include "ukai/block_map.h"
#include "ukai/catalog.h"

namespace ukai::test {

inline constexpr std::uint64_t mib = 1ULL << 20;
inline constexpr std::uint64_t tib = 1ULL << 40;

inline pb::DiskRecord disk_record(const std::string& name, std::uint64_t size) {
  pb::DiskRecord record;
  record.set_id(DiskId::random().to_string());
  record.set_name(name);
  record.set_size(size);
  record.set_block_size(4 * mib);
  record.set_generation(1);
  for (const char* node : {"n1", "n2"}) record.add_members()->set_node(node);
  return record;
}

inline std::vector<pb::MapSegment> disk_map(const pb::DiskRecord& record) {
  auto geometry = make_geometry(record.size(), record.block_size());
  Placement placement;
  placement.nodes = {NodeId("n1"), NodeId("n2")};
  placement.replicas = 2;
  return make_map(*geometry, placement);
}

inline pb::NodeRecord node_record(const std::string& id) {
  pb::NodeRecord record;
  record.set_id(id);
  record.set_data_address("127.0.0.1:1");
  record.set_store_id("store-of-" + id);
  return record;
}

inline pb::NodeAlive node_alive(std::uint64_t incarnation) {
  pb::NodeAlive alive;
  alive.set_incarnation(incarnation);
  return alive;
}

inline pb::HostRecord host_record(const std::string& id, std::uint64_t incarnation) {
  pb::HostRecord record;
  record.set_id(id);
  record.set_incarnation(incarnation);
  record.set_control_address("127.0.0.1:" + std::to_string(incarnation));
  return record;
}

/// Catalogs of several processes on one tree in memory, in one thread and with time that stands
/// still: every run is the same.
class CatalogTest : public testing::Test {
 protected:
  struct Process {
    Process(MemoryZooKeeper& tree, ManualScheduler& scheduler)
        : coordination(tree, scheduler), catalog(coordination, scheduler) {}
    MemoryCoordination coordination;
    Catalog catalog;
  };

  CatalogTest() { EXPECT_TRUE(run(a.catalog.ensure_layout()).ok()); }

  template <class T>
  T run(Task<T> task) {
    return scheduler.run(std::move(task));
  }

  DiskId create(const std::string& name, std::uint64_t size = 64 * mib) {
    pb::DiskRecord record = disk_record(name, size);
    auto done = run(a.catalog.create_disk(record, disk_map(record)));
    EXPECT_TRUE(done.ok()) << done.error().what;
    return *DiskId::parse(record.id());
  }
  Result<Catalog::Taken> take(Process& process, DiskId disk, const std::string& holder = "h1") {
    return run(process.catalog.take_lease(disk, holder, pb::LeaseRecord::GUEST));
  }
  pb::DiskRecord record_of(DiskId disk) { return run(b.catalog.load_disk(disk))->record; }

  ManualScheduler scheduler;
  MemoryZooKeeper tree;
  Process a{tree, scheduler};
  Process b{tree, scheduler};
};

}  // namespace ukai::test
