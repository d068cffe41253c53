// SPDX-License-Identifier: BSD-2-Clause
//
// F21: the connection is lost around each compare-and-set, before or after it was applied. Every
// operation of the catalog is run once for each of its changes and for each way to lose one, and
// must end as if nothing had happened.
#include <gmock/gmock.h>

#include <functional>

#include "catalog_fixture.h"

namespace ukai::test {
namespace {

using namespace std::chrono_literals;
using testing::HasSubstr;

class CatalogLostAnswers : public CatalogTest {
 protected:
  /// One operation: made ready, run under faults, and looked at.
  struct Case {
    std::function<void()> prepare;
    std::function<Result<>()> run;
    std::function<void()> expect_once;
  };

  /// Loses the n-th change of each run, for all n and in both ways.
  void lose_each(const Case& test) {
    for (const ChangeFault fault : {ChangeFault::lose_request, ChangeFault::lose_reply}) {
      for (int lost = 0; lost < 20; ++lost) {
        test.prepare();
        int changes = 0;
        a.coordination.set_change_fault(
            [&](const std::vector<Op>&) { return changes++ == lost ? fault : ChangeFault::none; });
        auto done = test.run();
        a.coordination.set_change_fault({});
        EXPECT_TRUE(done.ok()) << "change " << lost << ": " << done.error().what;
        test.expect_once();
        if (changes <= lost) {
          EXPECT_GT(lost, 0) << "there was nothing to lose";
          break;
        }
      }
    }
  }

  /// The value of an operation is looked at by expect_once.
  template <class T>
  static Result<> without_value(const Result<T>& result) {
    if (!result) return result.error();
    return Unit{};
  }

  std::string fresh_name() { return "disk-" + std::to_string(++names); }

  int names = 0;
};

TEST_F(CatalogLostAnswers, create_a_disk_once) {
  pb::DiskRecord record;
  lose_each({[&] { record = disk_record(fresh_name(), 64 * mib); },
             [&] { return run(a.catalog.create_disk(record, disk_map(record))); },
             [&] {
               auto entry = run(b.catalog.load_disk(*DiskId::parse(record.id())));
               ASSERT_TRUE(entry.ok());
               EXPECT_EQ(entry->version, 0);
             }});
}

TEST_F(CatalogLostAnswers, take_a_lease_once) {
  DiskId disk;
  std::optional<Catalog::Taken> taken;
  lose_each({[&] { disk = create(fresh_name()); },
             [&] {
               auto result = take(a, disk);
               if (result.ok()) taken = *result;
               return without_value(result);
             },
             [&] {
               EXPECT_EQ(record_of(disk).epoch(), 1U);
               EXPECT_EQ(raw(taken->lease.epoch), 1U);
               EXPECT_TRUE(*run(b.catalog.lease_stands(taken->lease)));
             }});
}

TEST_F(CatalogLostAnswers, change_a_disk_once) {
  DiskId disk;
  std::optional<Catalog::Taken> taken;
  std::optional<DiskEntry> entry;
  lose_each({[&] {
               disk = create(fresh_name());
               taken = *take(a, disk);
             },
             [&] {
               pb::DiskRecord changed = taken->entry.record;
               changed.set_generation(changed.generation() + 1);
               changed.set_name(fresh_name());
               auto segment = run(a.catalog.load_segment(disk, 0));
               auto result = run(
                   a.catalog.update_disk_and_map(taken->lease, taken->entry, changed, {*segment}));
               if (result.ok()) entry = *result;
               return without_value(result);
             },
             [&] {
               EXPECT_EQ(record_of(disk).generation(), 2U);
               EXPECT_EQ(run(b.catalog.load_segment(disk, 0))->version, 1);
               // The entry that came back is good for the next change.
               EXPECT_TRUE(run(a.catalog.update_disk(taken->lease, *entry, entry->record)).ok());
             }});
}

TEST_F(CatalogLostAnswers, release_and_break_a_lease_once) {
  DiskId disk;
  std::optional<Catalog::Taken> taken;
  const auto prepare = [&] {
    disk = create(fresh_name());
    taken = *take(a, disk);
  };
  const auto expect_gone = [&] { EXPECT_FALSE(run(b.catalog.lease_of(disk))->has_value()); };
  lose_each({prepare, [&] { return run(a.catalog.release_lease(taken->lease)); }, expect_gone});
  lose_each({prepare,
             [&] {
               const auto zxid = (*run(a.catalog.lease_of(disk)))->stat.created_zxid;
               return run(a.catalog.break_lease(disk, zxid));
             },
             expect_gone});
}

TEST_F(CatalogLostAnswers, delete_a_disk_once) {
  ASSERT_TRUE(run(b.catalog.register_node(node_record("n1"), node_alive(1))).ok());
  DiskId disk;
  std::optional<Catalog::Taken> taken;
  std::size_t orders = 0;
  lose_each({[&] {
               disk = create(fresh_name());
               taken = *take(a, disk);
             },
             [&] { return run(a.catalog.delete_disk(taken->lease, taken->entry)); },
             [&] {
               EXPECT_TRUE(run(b.catalog.load_disk(disk)).failed_with(Code::not_found));
               EXPECT_EQ(run(b.catalog.trash_of(NodeId("n1")))->size(), ++orders);
             }});
  lose_each({[&] {},
             [&] {
               auto all = run(b.catalog.trash_of(NodeId("n1")));
               return run(a.catalog.remove_trash(NodeId("n1"), all->front().key));
             },
             [&] { EXPECT_EQ(run(b.catalog.trash_of(NodeId("n1")))->size(), --orders); }});
}

TEST_F(CatalogLostAnswers, register_nodes_and_hosts_once) {
  std::uint64_t incarnation = 0;
  std::string id;
  const auto next = [&] { ++incarnation; };
  const auto next_id = [&] { id = "x" + std::to_string(++incarnation); };
  const auto node = [&] {
    return run(a.catalog.register_node(node_record(id), node_alive(incarnation)));
  };
  const auto expect_node = [&] {
    EXPECT_EQ(run(b.catalog.node(NodeId(id)))->alive->incarnation(), incarnation);
  };
  lose_each({next_id, node, expect_node});
  lose_each({next, node, expect_node});
  const auto host = [&] { return run(a.catalog.register_host(host_record(id, incarnation))); };
  const auto expect_host = [&] {
    EXPECT_EQ(run(b.catalog.host(HostId(id)))->incarnation(), incarnation);
  };
  lose_each({next_id, host, expect_host});
}

TEST_F(CatalogLostAnswers, lay_the_tree_out_once) {
  for (const ChangeFault fault : {ChangeFault::lose_request, ChangeFault::lose_reply}) {
    for (int lost = 0; lost < 6; ++lost) {
      MemoryZooKeeper fresh;
      Process process(fresh, scheduler);
      int changes = 0;
      process.coordination.set_change_fault(
          [&](const std::vector<Op>&) { return changes++ == lost ? fault : ChangeFault::none; });
      auto id = run(process.catalog.ensure_layout());
      ASSERT_TRUE(id.ok()) << id.error().what;
      EXPECT_EQ(*run(process.catalog.cluster_id()), *id);
    }
  }
}

// -- beyond a single lost answer

TEST_F(CatalogLostAnswers, find_a_change_that_others_have_built_upon) {
  const DiskId disk = create("vm-1");
  auto taken = take(a, disk, "h1");
  pb::DiskRecord changed = taken->entry.record;
  changed.set_generation(2);
  a.coordination.lose_next_reply();
  std::optional<Result<DiskEntry>> done;
  spawn_into<Result<DiskEntry>>(a.catalog.update_disk(taken->lease, taken->entry, changed),
                                [&](Result<DiskEntry> result) { done.emplace(std::move(result)); });
  // Applied; before the answer is known to be lost, the session ends and another host goes on.
  a.coordination.suspend();
  a.coordination.expire_session();
  auto theirs = take(b, disk, "h2");
  ASSERT_TRUE(theirs.ok()) << theirs.error().what;
  DiskEntry entry = theirs->entry;
  entry = *run(b.catalog.update_disk(theirs->lease, entry, entry.record));
  a.coordination.resume();
  scheduler.run_for(1min);
  ASSERT_TRUE(done.has_value());
  EXPECT_TRUE(done->ok()) << done->error().what;
  EXPECT_EQ(record_of(disk).generation(), 2U);
}

TEST_F(CatalogLostAnswers, wait_for_the_connection_before_they_decide) {
  const DiskId disk = create("vm-1");
  auto taken = take(a, disk, "h1");
  pb::DiskRecord changed = taken->entry.record;
  changed.set_generation(2);
  a.coordination.freeze();
  std::optional<Result<DiskEntry>> done;
  spawn_into<Result<DiskEntry>>(a.catalog.update_disk(taken->lease, taken->entry, changed),
                                [&](Result<DiskEntry> result) { done.emplace(std::move(result)); });
  scheduler.run_for(15s);  // the request has timed out by now: its fate is unknown
  EXPECT_FALSE(done.has_value());
  a.coordination.thaw();
  scheduler.run_for(1s);
  ASSERT_TRUE(done.has_value());
  EXPECT_TRUE(done->ok()) << done->error().what;
  EXPECT_EQ(record_of(disk).generation(), 2U);
}

TEST_F(CatalogLostAnswers, are_called_unknown_when_the_connection_stays_away) {
  const DiskId disk = create("vm-1");
  auto taken = take(a, disk, "h1");
  a.coordination.freeze();
  const TimePoint before = scheduler.now();
  auto done = run(a.catalog.update_disk(taken->lease, taken->entry, taken->entry.record));
  ASSERT_TRUE(done.failed_with(Code::unknown));
  EXPECT_THAT(done.error().what, HasSubstr("whether the change was made cannot be read"));
  EXPECT_LT(scheduler.now() - before, 45s) << "bounded";
  a.coordination.thaw();
  scheduler.run_for(1min);
}

TEST_F(CatalogLostAnswers, are_called_unreachable_when_every_request_is_lost) {
  const DiskId disk = create("vm-1");
  auto taken = take(a, disk, "h1");
  a.coordination.set_change_fault([](const auto&) { return ChangeFault::lose_request; });
  auto done = run(a.catalog.update_disk(taken->lease, taken->entry, taken->entry.record));
  EXPECT_TRUE(done.failed_with(Code::unreachable)) << "surely not applied";
}

}  // namespace
}  // namespace ukai::test
