// SPDX-License-Identifier: BSD-2-Clause
#include <gmock/gmock.h>

#include "catalog_fixture.h"
#include "metadata/records.h"

namespace ukai::test {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;
using testing::Not;

using CatalogDisks = CatalogTest;

// -- layout

TEST_F(CatalogDisks, lays_the_tree_out_once) {
  auto first = run(a.catalog.ensure_layout());
  auto second = run(b.catalog.ensure_layout());
  ASSERT_TRUE(first.ok() && second.ok());
  EXPECT_EQ(first->size(), 32U);
  EXPECT_EQ(*first, *second);
  EXPECT_EQ(*run(b.catalog.cluster_id()), *first);
  EXPECT_THAT(tree.paths(),
              ElementsAre("/", "/ukai", "/ukai/cluster", "/ukai/disks", "/ukai/events",
                          "/ukai/hosts", "/ukai/jobs", "/ukai/names", "/ukai/nodes"));
}

TEST_F(CatalogDisks, agrees_on_one_cluster_when_two_lay_it_out_at_the_same_time) {
  MemoryZooKeeper fresh;
  Process one(fresh, scheduler);
  Process two(fresh, scheduler);
  std::vector<Task<Result<std::string>>> both;
  both.push_back(one.catalog.ensure_layout());
  both.push_back(two.catalog.ensure_layout());
  auto ids = run(gather(std::move(both)));
  ASSERT_TRUE(ids[0].ok() && ids[1].ok());
  EXPECT_EQ(*ids[0], *ids[1]);
}

TEST_F(CatalogDisks, says_that_there_is_no_cluster_and_makes_none) {
  MemoryZooKeeper empty;
  Process lost(empty, scheduler);
  auto id = run(lost.catalog.cluster_id());
  ASSERT_TRUE(id.failed_with(Code::not_found));
  EXPECT_THAT(id.error().what, HasSubstr("no UKAI cluster"));
  EXPECT_THAT(empty.paths(), ElementsAre("/"));
}

// -- create, find, list

TEST_F(CatalogDisks, creates_a_disk_with_its_name_map_and_folders) {
  const DiskId disk = create("vm-1");
  EXPECT_EQ(*run(b.catalog.find_disk(DiskName("vm-1"))), disk);
  auto entry = run(b.catalog.load_disk(disk));
  ASSERT_TRUE(entry.ok()) << entry.error().what;
  EXPECT_EQ(entry->record.name(), "vm-1");
  EXPECT_EQ(entry->record.epoch(), 0U);
  auto segment = run(b.catalog.load_segment(disk, 0));
  ASSERT_TRUE(segment.ok()) << segment.error().what;
  EXPECT_EQ(segment->segment.sets_size(), 1);
  EXPECT_TRUE(run(b.catalog.load_segment(disk, 1)).failed_with(Code::not_found));
}

TEST_F(CatalogDisks, refuses_a_name_that_is_taken_and_leaves_nothing_behind) {
  create("vm-1");
  const auto before = tree.paths();
  pb::DiskRecord twin = disk_record("vm-1", 64 * mib);
  auto done = run(b.catalog.create_disk(twin, disk_map(twin)));
  ASSERT_TRUE(done.failed_with(Code::exists));
  EXPECT_EQ(done.error().what, "a disk named \"vm-1\" exists already");
  EXPECT_EQ(tree.paths(), before);
}

TEST_F(CatalogDisks, creates_64_tebibytes_in_one_transaction) {
  const DiskId disk = create("large", 64 * tib);
  EXPECT_TRUE(run(b.catalog.load_segment(disk, 1023)).ok());
  EXPECT_TRUE(run(b.catalog.load_segment(disk, 1024)).failed_with(Code::not_found));
}

TEST_F(CatalogDisks, refuses_a_map_that_no_transaction_takes) {
  pb::DiskRecord record = disk_record("too-large", 64 * tib);
  const auto before = tree.paths();
  std::vector<pb::MapSegment> many(3000);
  for (std::uint32_t i = 0; i < 3000; ++i) many[i].set_segment(i);
  auto done = run(a.catalog.create_disk(record, std::move(many)));
  ASSERT_TRUE(done.failed_with(Code::invalid));
  EXPECT_THAT(done.error().what, HasSubstr("disk \"too-large\" cannot be created"));
  std::vector<pb::MapSegment> heavy(1024);
  for (std::uint32_t i = 0; i < 1024; ++i) {
    heavy[i].set_segment(i);
    heavy[i].add_sets()->add_nodes(std::string(1000, 'n'));
  }
  EXPECT_TRUE(run(a.catalog.create_disk(record, std::move(heavy))).failed_with(Code::invalid));
  EXPECT_EQ(tree.paths(), before);
}

TEST_F(CatalogDisks, lists_names_and_records_in_order) {
  for (const char* name : {"c", "a", "b"}) create(name);
  EXPECT_THAT(*run(b.catalog.disk_names()),
              ElementsAre(DiskName("a"), DiskName("b"), DiskName("c")));
  auto lines = run(b.catalog.disks());
  ASSERT_TRUE(lines.ok());
  ASSERT_EQ(lines->size(), 3U);
  EXPECT_EQ((*lines)[1].entry->record.name(), "b");
}

TEST_F(CatalogDisks, says_which_disk_does_not_exist) {
  auto id = run(a.catalog.find_disk(DiskName("none")));
  ASSERT_TRUE(id.failed_with(Code::not_found));
  EXPECT_EQ(id.error().what, "there is no disk named \"none\"");
}

// -- damaged records: that disk alone refuses, by name (F33)

TEST_F(CatalogDisks, refuses_a_damaged_record_alone_and_names_its_path) {
  const DiskId bad = create("bad");
  const DiskId good = create("good");
  const std::string path = Catalog::disk_path(bad);
  pb::DiskRecord foreign = record_of(good);
  pb::DiskRecord absurd = record_of(bad);
  absurd.set_block_size(0);
  pb::DiskRecord crowded = record_of(bad);
  while (crowded.members_size() < 65) {
    crowded.add_members()->set_node("m" + std::to_string(crowded.members_size()));
  }
  for (const std::string& value :
       {std::string(), std::string("garbage"), std::string("UKR2D"), std::string("UKR1I"),
        std::string("UKR1D\xff"), encode_record(foreign), encode_record(absurd),
        encode_record(crowded)}) {
    tree.corrupt(path, value);
    auto entry = run(b.catalog.load_disk(bad));
    ASSERT_TRUE(entry.failed_with(Code::corrupt)) << value;
    EXPECT_THAT(entry.error().what, HasSubstr(path));
    EXPECT_TRUE(take(b, bad).failed_with(Code::corrupt));
    EXPECT_TRUE(run(b.catalog.load_disk(good)).ok());
    auto lines = run(b.catalog.disks());
    ASSERT_TRUE(lines.ok());
    ASSERT_EQ(lines->size(), 2U);
    EXPECT_TRUE((*lines)[0].entry.failed_with(Code::corrupt));
    EXPECT_TRUE((*lines)[1].entry.ok());
  }
  tree.corrupt(path + "/map/00000000", "x");
  EXPECT_TRUE(run(b.catalog.load_segment(bad, 0)).failed_with(Code::corrupt));
  tree.corrupt("/ukai/names/bad", "x");
  EXPECT_TRUE(run(b.catalog.find_disk(DiskName("bad"))).failed_with(Code::corrupt));
}

// -- change

TEST_F(CatalogDisks, changes_record_and_map_together_under_the_lease) {
  const DiskId disk = create("vm-1");
  auto taken = take(a, disk);
  ASSERT_TRUE(taken.ok()) << taken.error().what;
  auto segment = run(a.catalog.load_segment(disk, 0));
  segment->segment.mutable_sets(0)->set_status(1, 2);
  pb::MapSegment added;
  added.set_segment(1);
  pb::DiskRecord changed = taken->entry.record;
  (*changed.mutable_meta())["k"] = "v";
  auto entry = run(a.catalog.update_disk_and_map(taken->lease, taken->entry, changed,
                                                 {*segment, SegmentEntry{added, any_version}}));
  ASSERT_TRUE(entry.ok()) << entry.error().what;
  EXPECT_EQ(entry->version, run(b.catalog.load_disk(disk))->version);
  EXPECT_EQ(record_of(disk).meta().at("k"), "v");
  EXPECT_EQ(run(b.catalog.load_segment(disk, 0))->segment.sets(0).status(1), 2U);
  EXPECT_TRUE(run(b.catalog.load_segment(disk, 1)).ok());

  // The segment's version has moved on: nothing of the next change applies.
  changed.set_generation(7);
  auto stale = run(a.catalog.update_disk_and_map(taken->lease, *entry, changed, {*segment}));
  EXPECT_TRUE(stale.failed_with(Code::stale));
  EXPECT_EQ(record_of(disk).generation(), 1U);
}

TEST_F(CatalogDisks, renames_in_the_same_transaction) {
  const DiskId disk = create("old");
  create("other");
  auto taken = take(a, disk);
  pb::DiskRecord renamed = taken->entry.record;
  renamed.set_name("other");
  auto refused = run(a.catalog.update_disk(taken->lease, taken->entry, renamed));
  ASSERT_TRUE(refused.failed_with(Code::exists));
  EXPECT_THAT(refused.error().what, HasSubstr("\"other\" exists already"));
  renamed.set_name("new");
  ASSERT_TRUE(run(a.catalog.update_disk(taken->lease, taken->entry, renamed)).ok());
  EXPECT_EQ(*run(b.catalog.find_disk(DiskName("new"))), disk);
  EXPECT_TRUE(run(b.catalog.find_disk(DiskName("old"))).failed_with(Code::not_found));
}

TEST_F(CatalogDisks, remembers_its_last_operations_only) {
  const DiskId disk = create("vm-1");
  auto taken = take(a, disk);
  DiskEntry entry = taken->entry;
  for (int i = 0; i < 20; ++i) {
    entry = *run(a.catalog.update_disk(taken->lease, entry, entry.record));
  }
  EXPECT_EQ(record_of(disk).earlier_ops_size(), 8);
  EXPECT_THAT(record_of(disk).earlier_ops(), Not(testing::Contains(record_of(disk).last_op())));
}

// -- delete

TEST_F(CatalogDisks, deletes_everything_and_leaves_orders_at_its_nodes) {
  ASSERT_TRUE(run(a.catalog.register_node(node_record("n1"), node_alive(1))).ok());
  const auto before = tree.paths();
  const DiskId disk = create("vm-1", 16 * tib);
  auto taken = take(a, disk);
  ASSERT_TRUE(
      run(a.coordination.commit({Op::create(Catalog::disk_path(disk) + "/jobs/1", "")})).ok());
  auto done = run(a.catalog.delete_disk(taken->lease, taken->entry));
  ASSERT_TRUE(done.ok()) << done.error().what;

  auto orders = run(a.catalog.trash_of(NodeId("n1")));
  ASSERT_TRUE(orders.ok());
  ASSERT_EQ(orders->size(), 1U);
  EXPECT_EQ((*orders)[0].record.disk_id(), disk.to_string());
  EXPECT_EQ((*orders)[0].record.disk_name(), "vm-1");
  EXPECT_TRUE(run(a.catalog.trash_of(NodeId("n2")))->empty()) << "never registered";
  ASSERT_TRUE(run(a.catalog.remove_trash(NodeId("n1"), (*orders)[0].key)).ok());
  ASSERT_TRUE(run(a.catalog.remove_trash(NodeId("n1"), (*orders)[0].key)).ok()) << "gone already";
  EXPECT_EQ(tree.paths(), before);
}

TEST_F(CatalogDisks, a_damaged_order_to_delete_is_shown_and_spoils_no_other) {
  ASSERT_TRUE(run(a.catalog.register_node(node_record("n1"), node_alive(1))).ok());
  const std::string folder = Catalog::trash_path(NodeId("n1")) + "/";
  pb::TrashRecord good;
  good.set_disk_id(std::string(32, '1'));
  const std::string living = create("living").to_string();
  pb::TrashRecord foreign;
  foreign.set_disk_id(living);
  const std::string elsewhere(32, '2');
  ASSERT_TRUE(run(a.coordination.commit({Op::create(folder + good.disk_id(), encode_record(good)),
                                         Op::create(folder + elsewhere, encode_record(foreign)),
                                         Op::create(folder + "junk", "junk")}))
                  .ok());
  auto orders = run(a.catalog.trash_of(NodeId("n1")));
  ASSERT_TRUE(orders.ok()) << orders.error().what;
  ASSERT_EQ(orders->size(), 3U);
  EXPECT_EQ((*orders)[0].damage, "");
  EXPECT_EQ((*orders)[0].record.disk_id(), good.disk_id());
  EXPECT_THAT((*orders)[1].damage, HasSubstr("is about disk " + living));
  EXPECT_EQ((*orders)[1].record.disk_id(), "") << "it must not be obeyed";
  EXPECT_THAT((*orders)[2].damage, HasSubstr("is no UKAI record"));
}

TEST_F(CatalogDisks, does_not_delete_what_is_open_for_reading_or_held_by_somebody_else) {
  const DiskId disk = create("vm-1");
  auto taken = take(a, disk);
  const std::string reader = Catalog::disk_path(disk) + "/readers/h2";
  ASSERT_TRUE(run(b.coordination.commit({Op::create_ephemeral(reader, "")})).ok());
  auto open = run(a.catalog.delete_disk(taken->lease, taken->entry));
  ASSERT_TRUE(open.failed_with(Code::busy));
  EXPECT_THAT(open.error().what, HasSubstr("\"vm-1\" is open on host \"h2\""));
  ASSERT_TRUE(run(b.coordination.commit({Op::remove(reader)})).ok());
  ASSERT_TRUE(run(a.catalog.release_lease(taken->lease)).ok());
  auto theirs = take(b, disk, "h2");
  EXPECT_TRUE(run(a.catalog.delete_disk(taken->lease, taken->entry)).failed_with(Code::stale));
  EXPECT_TRUE(run(a.catalog.delete_disk(taken->lease, theirs->entry)).failed_with(Code::stale));
  EXPECT_TRUE(run(b.catalog.delete_disk(theirs->lease, theirs->entry)).ok());
}

}  // namespace
}  // namespace ukai::test
