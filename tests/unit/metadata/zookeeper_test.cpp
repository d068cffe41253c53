// SPDX-License-Identifier: BSD-2-Clause
//
// What only a real ZooKeeper can show: addresses, chroots, servers that stop, and speed.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <atomic>
#include <set>

#include "catalog_fixture.h"
#include "metadata/server_list.h"
#include "metadata/zookeeper_coordination.h"
#include "worlds.h"

namespace ukai::test {
namespace {

using namespace std::chrono_literals;
using testing::HasSubstr;

/// Elapsed time is checked loosely: sanitizers and busy machines make everything slower.
class Stopwatch {
 public:
  Duration elapsed() const { return std::chrono::steady_clock::now() - start_; }

 private:
  const TimePoint start_ = std::chrono::steady_clock::now();
};

class ZooKeeper : public testing::Test {
 protected:
  std::unique_ptr<Coordination> open(ZooKeeperOptions options) {
    auto made = make_zookeeper_coordination(std::move(options), scheduler);
    EXPECT_TRUE(made.ok()) << made.error().what;
    return std::move(*made);
  }
  ZooKeeperOptions at(const std::string& where) {
    ZooKeeperOptions options;
    options.address = where;
    return options;
  }

  AsioScheduler scheduler{2};
  const std::string chroot = fresh_chroot();
  const std::string address = shared_server().address() + chroot;
};

TEST_F(ZooKeeper, refuses_a_malformed_address_and_an_unknown_host_name) {
  EXPECT_TRUE(make_zookeeper_coordination(at("zk1"), scheduler).failed_with(Code::invalid));
  auto unknown = make_zookeeper_coordination(at("no-such-host.invalid:2181"), scheduler);
  ASSERT_FALSE(unknown.ok());
  EXPECT_EQ(unknown.code(), Code::unreachable);
  EXPECT_THAT(unknown.error().what, HasSubstr("no-such-host.invalid:2181"));
}

TEST_F(ZooKeeper, says_within_the_request_timeout_that_nobody_answers) {
  ZooKeeperOptions options = at("127.0.0.1:1");
  options.request_timeout = 200ms;
  auto nowhere = open(options);
  Stopwatch watch;
  auto znode = sync_wait(nowhere->get("/"));
  ASSERT_TRUE(znode.failed_with(Code::unreachable));
  EXPECT_EQ(znode.error().what, "no connection to ZooKeeper at 127.0.0.1:1 within 200 ms");
  EXPECT_LT(watch.elapsed(), 10s);
  EXPECT_EQ(nowhere->session_state(), SessionState::connecting);
}

TEST_F(ZooKeeper, finds_the_one_server_that_is_up_wherever_it_stands_in_the_list) {
  const std::string up = shared_server().address();
  for (const std::string& servers :
       {"127.0.0.1:1," + up, up + ",127.0.0.1:1", "127.0.0.1:1," + up + ",127.0.0.1:2",
        "127.0.0.1:1,127.0.0.1:2,127.0.0.1:3," + up}) {
    auto tree = open(at(servers + chroot));
    auto done = sync_wait(tree->sync());
    EXPECT_TRUE(done.ok()) << servers << ": " << done.error().what;
  }
}

TEST_F(ZooKeeper, finds_its_server_again_when_it_comes_back_among_others_that_do_not) {
  ZooKeeperServer own;
  auto tree = open(at("127.0.0.1:1," + own.address()));
  ASSERT_TRUE(sync_wait(tree->sync()).ok());
  const auto session = tree->session_id();
  own.kill();
  EXPECT_TRUE(eventually([&] { return tree->session_state() == SessionState::suspended; }));
  own.start();
  EXPECT_TRUE(eventually([&] { return tree->session_state() == SessionState::connected; }));
  EXPECT_EQ(tree->session_id(), session);
}

TEST_F(ZooKeeper, names_an_odd_number_of_addresses_to_the_c_client) {
  EXPECT_EQ(*zk::odd_server_list("127.0.0.1:1"), "127.0.0.1:1");
  EXPECT_EQ(*zk::odd_server_list("127.0.0.1:1,127.0.0.1:2,127.0.0.1:3"),
            "127.0.0.1:1,127.0.0.1:2,127.0.0.1:3");
  EXPECT_THAT(*zk::odd_server_list("127.0.0.1:1,127.0.0.1:2"),
              testing::MatchesRegex("127.0.0.1:1,127.0.0.1:2,127.0.0.1:[12]"));
}

TEST_F(ZooKeeper, keeps_chroots_apart_and_creates_them_only_when_asked) {
  ZooKeeperOptions careful = at(address + "/x/y");
  careful.create_chroot = false;
  auto reader = open(careful);
  EXPECT_TRUE(sync_wait(reader->get("/")).failed_with(Code::not_found));
  auto maker = open(at(address + "/x/y"));
  ASSERT_TRUE(sync_wait(maker->commit({Op::create("/a", "1")})).ok());
  EXPECT_EQ(sync_wait(reader->get("/a"))->data, "1");
  auto outer = open(at(address));
  EXPECT_EQ(sync_wait(outer->get("/x/y/a"))->data, "1");
  auto failed = sync_wait(maker->commit({Op::create("/none/a", "")}));
  EXPECT_THAT(failed.error().what, testing::StartsWith("/none/a ")) << "as the user knows the path";
}

TEST_F(ZooKeeper, calls_a_change_unknown_and_a_read_unreachable_when_the_server_stops) {
  ZooKeeperOptions options = at(address);
  options.request_timeout = 300ms;
  auto tree = open(options);
  ASSERT_TRUE(eventually([&] { return sync_wait(tree->sync()).ok(); }));
  shared_server().pause();
  auto change = sync_wait(tree->commit({Op::create("/a", "")}));
  auto read = sync_wait(tree->get("/a"));
  shared_server().resume();
  EXPECT_TRUE(change.failed_with(Code::unknown)) << change.error().what;
  EXPECT_TRUE(read.failed_with(Code::unreachable));
  // In the session's order: once a read is answered, the change has been applied or never will be.
  EXPECT_TRUE(eventually([&] { return sync_wait(tree->sync()).ok(); }));
  EXPECT_TRUE(sync_wait(tree->get("/a")).ok());
}

TEST_F(ZooKeeper, survives_the_death_and_return_of_its_server) {
  auto tree = open(at(address));
  ASSERT_TRUE(sync_wait(tree->commit({Op::create_ephemeral("/e", "x")})).ok());
  const auto session = tree->session_id();
  std::atomic<int> told{0};
  auto watch = tree->watch("/e", false, [&] { ++told; });
  shared_server().kill();
  EXPECT_TRUE(eventually([&] { return tree->session_state() == SessionState::suspended; }));
  shared_server().start();
  EXPECT_TRUE(eventually([&] { return tree->session_state() == SessionState::connected; }));
  EXPECT_EQ(tree->session_id(), session);
  EXPECT_EQ(sync_wait(tree->get("/e"))->data, "x");
  EXPECT_TRUE(eventually([&] { return told > 0; }));
}

TEST_F(ZooKeeper, closes_at_once_at_any_moment) {
  for (int i = 0; i < 20; ++i) {
    auto tree = open(at(address));
    std::atomic<int> answered{0};
    for (int j = 0; j < i; ++j) {
      spawn_into<Result<Znode>>(tree->get("/"), [&](Result<Znode>) { ++answered; });
    }
    auto watch = tree->watch("/", true, [] {});
    Stopwatch stopwatch;
    tree.reset();
    EXPECT_LT(stopwatch.elapsed(), 3s);
    EXPECT_TRUE(eventually([&] { return answered == i; }));
  }
}

// -- the catalog on it

class ZooKeeperCatalog : public ZooKeeper {
 protected:
  ZooKeeperCatalog() { EXPECT_TRUE(sync_wait(catalog.ensure_layout()).ok()); }

  DiskId create(const std::string& name, std::uint64_t size) {
    pb::DiskRecord record = disk_record(name, size);
    auto done = sync_wait(catalog.create_disk(record, disk_map(record)));
    EXPECT_TRUE(done.ok()) << done.error().what;
    return *DiskId::parse(record.id());
  }

  std::unique_ptr<Coordination> tree = open(at(address));
  Catalog catalog{*tree, scheduler};
};

TEST_F(ZooKeeperCatalog, lives_through_the_life_of_a_disk) {
  ASSERT_TRUE(sync_wait(catalog.register_node(node_record("n1"), node_alive(1))).ok());
  ASSERT_TRUE(sync_wait(catalog.register_host(host_record("h1", 1))).ok());
  const DiskId disk = create("vm-1", 16 * tib);
  auto taken = sync_wait(catalog.take_lease(disk, "h1", pb::LeaseRecord::GUEST));
  ASSERT_TRUE(taken.ok()) << taken.error().what;
  EXPECT_EQ(taken->lease.session_id, tree->session_id());
  EXPECT_TRUE(
      sync_wait(catalog.take_lease(disk, "h2", pb::LeaseRecord::ADMIN)).failed_with(Code::busy));
  pb::DiskRecord renamed = taken->entry.record;
  renamed.set_name("vm-2");
  auto entry = sync_wait(catalog.update_disk(taken->lease, taken->entry, renamed));
  ASSERT_TRUE(entry.ok()) << entry.error().what;
  EXPECT_EQ(*sync_wait(catalog.find_disk(DiskName("vm-2"))), disk);
  EXPECT_TRUE(
      sync_wait(catalog.update_disk(taken->lease, taken->entry, renamed)).failed_with(Code::stale));
  ASSERT_TRUE(sync_wait(catalog.delete_disk(taken->lease, *entry)).ok());
  EXPECT_EQ(sync_wait(catalog.trash_of(NodeId("n1")))->size(), 1U);
  EXPECT_TRUE(sync_wait(catalog.disk_names())->empty());
  EXPECT_EQ(sync_wait(catalog.nodes())->size(), 1U);
  EXPECT_EQ(sync_wait(catalog.hosts())->size(), 1U);
}

TEST_F(ZooKeeperCatalog, creates_the_largest_disk_in_one_packet_and_fast) {
  Stopwatch stopwatch;
  const DiskId disk = create("huge", 64 * tib);
  EXPECT_LT(stopwatch.elapsed(), 5s);
  EXPECT_TRUE(sync_wait(catalog.load_segment(disk, 1023)).ok());
  auto taken = sync_wait(catalog.take_lease(disk, "h1", pb::LeaseRecord::ADMIN));
  ASSERT_TRUE(taken.ok()) << taken.error().what;
  ASSERT_TRUE(sync_wait(catalog.delete_disk(taken->lease, taken->entry)).ok());
}

TEST_F(ZooKeeperCatalog, lists_a_thousand_disks_within_seconds) {
  constexpr int disks = 1000;
  std::vector<Task<Result<>>> tasks;
  for (int i = 0; i < disks; ++i) {
    pb::DiskRecord record = disk_record("disk-" + std::to_string(i), 64 * mib);
    auto map = disk_map(record);
    tasks.push_back(catalog.create_disk(std::move(record), std::move(map)));
  }
  for (const auto& done : sync_wait(gather(std::move(tasks)))) ASSERT_TRUE(done.ok());
  Stopwatch stopwatch;
  auto names = sync_wait(catalog.disk_names());
  const Duration for_names = stopwatch.elapsed();
  auto lines = sync_wait(catalog.disks());
  const Duration for_all = stopwatch.elapsed();
  ASSERT_TRUE(names.ok() && lines.ok());
  EXPECT_EQ(names->size(), static_cast<std::size_t>(disks));
  EXPECT_EQ(lines->size(), static_cast<std::size_t>(disks));
  RecordProperty("names_ms", static_cast<int>(for_names / 1ms));
  RecordProperty("disks_ms", static_cast<int>(for_all / 1ms));
  EXPECT_LT(for_names, 3s);  // a third, and less without sanitizers, on a machine of its own
  EXPECT_LT(for_all, 9s);
}

TEST_F(ZooKeeperCatalog, applies_a_change_once_when_its_answer_is_lost) {
  auto world = make_zookeeper_world();
  auto client = world->connect();
  auto observer = world->connect();
  Catalog cut_off(client->coordination(), world->scheduler());
  Catalog watching(observer->coordination(), world->scheduler());
  ASSERT_TRUE(sync_wait(cut_off.ensure_layout()).ok());
  pb::DiskRecord record = disk_record("vm-1", 64 * mib);
  ASSERT_TRUE(sync_wait(cut_off.create_disk(record, disk_map(record))).ok());
  const DiskId disk = *DiskId::parse(record.id());
  auto taken = sync_wait(cut_off.take_lease(disk, "h1", pb::LeaseRecord::GUEST));
  ASSERT_TRUE(taken.ok()) << taken.error().what;
  pb::DiskRecord changed = taken->entry.record;
  changed.set_generation(2);

  client->lose_replies();
  std::atomic<int> outcome{0};
  spawn_into<Result<DiskEntry>>(cut_off.update_disk(taken->lease, taken->entry, changed),
                                [&](Result<DiskEntry> done) { outcome = done.ok() ? 1 : 2; });
  ASSERT_TRUE(
      eventually([&] { return sync_wait(watching.load_disk(disk))->record.generation() == 2; }));
  client->cut();
  client->heal();
  EXPECT_TRUE(eventually([&] { return outcome != 0; }));
  EXPECT_EQ(outcome, 1);
  EXPECT_EQ(sync_wait(watching.load_disk(disk))->version, 2) << "lease, then the change, once";
}

TEST_F(ZooKeeperCatalog, loses_its_lease_with_its_session_to_the_next_host) {
  auto world = make_zookeeper_world();
  auto mortal = world->connect({.session_timeout = 600ms});
  auto heir = world->connect();
  Catalog first(mortal->coordination(), world->scheduler());
  Catalog second(heir->coordination(), world->scheduler());
  ASSERT_TRUE(sync_wait(first.ensure_layout()).ok());
  pb::DiskRecord record = disk_record("vm-1", 64 * mib);
  ASSERT_TRUE(sync_wait(first.create_disk(record, disk_map(record))).ok());
  const DiskId disk = *DiskId::parse(record.id());
  auto held = sync_wait(first.take_lease(disk, "h1", pb::LeaseRecord::GUEST));
  ASSERT_TRUE(held.ok()) << held.error().what;
  mortal->cut();
  std::optional<Catalog::Taken> next;
  ASSERT_TRUE(eventually([&] {
    auto taken = sync_wait(second.take_lease(disk, "h2", pb::LeaseRecord::GUEST));
    if (taken.ok()) next = *taken;
    return taken.ok();
  }));
  mortal->heal();
  EXPECT_TRUE(eventually(
      [&] { return mortal->coordination().session_state() == SessionState::connected; }));
  EXPECT_TRUE(sync_wait(first.update_disk(held->lease, held->entry, held->entry.record))
                  .failed_with(Code::stale));
  EXPECT_FALSE(*sync_wait(first.lease_stands(held->lease)));
  EXPECT_TRUE(sync_wait(second.update_disk(next->lease, next->entry, next->entry.record)).ok());
}

}  // namespace
}  // namespace ukai::test
