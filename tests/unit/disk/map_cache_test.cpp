// SPDX-License-Identifier: BSD-2-Clause
#include "disk/map_cache.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "metadata/records.h"
#include "unit/metadata/catalog_fixture.h"

namespace ukai {
namespace {

using testing::IsEmpty;
using testing::SizeIs;

constexpr std::uint64_t block_bytes = 4 * test::mib;

Geometry geometry_of(std::uint64_t blocks) {
  return {blocks * block_bytes, static_cast<std::uint32_t>(block_bytes)};
}

/// A disk of ten blocks, whose operator may make it larger behind the cache's back.
class MapCacheTest : public test::CatalogTest {
 protected:
  MapCache::View load(std::uint64_t block, const Geometry& geometry) {
    auto view = run(cache_.load(BlockIndex{block}, geometry));
    EXPECT_TRUE(view.ok()) << view.error().what;
    return view.ok() ? *view : nullptr;
  }
  void grow(std::uint64_t from, std::uint64_t to) {
    auto taken = take(b, disk_);
    ASSERT_TRUE(taken.ok());
    pb::DiskRecord changed = taken->entry.record;
    changed.set_size(to * block_bytes);
    auto last = run(b.catalog.load_segment(disk_, segment_of(BlockIndex{from - 1})));
    ASSERT_TRUE(last.ok());
    std::vector<SegmentEntry> segments;
    for (auto& segment : grow_map(last->segment, geometry_of(from), geometry_of(to))) {
      segments.push_back({segment, segments.empty() ? last->version : -1});
    }
    auto done = run(b.catalog.update_disk_and_map(taken->lease, taken->entry, changed, segments));
    ASSERT_TRUE(done.ok()) << done.error().what;
    ASSERT_TRUE(run(b.catalog.release_lease(taken->lease)).ok());
  }

  DiskId disk_ = create("vm", 10 * block_bytes);
  MapCache cache_{a.catalog, disk_};
};

TEST_F(MapCacheTest, loads_a_segment_on_first_use_and_keeps_it) {
  EXPECT_EQ(cache_.find(BlockIndex{3}), nullptr);
  EXPECT_THAT(cache_.loaded(), IsEmpty());
  const auto view = load(3, geometry_of(10));
  EXPECT_THAT(view->locations(BlockIndex{3}), SizeIs(2));
  EXPECT_EQ(cache_.find(BlockIndex{9}), view);
  a.coordination.suspend();  // what is loaded needs no ZooKeeper
  EXPECT_EQ(load(9, geometry_of(10)), view);
}

TEST_F(MapCacheTest, loads_once_for_two_that_ask_at_the_same_time) {
  std::vector<MapCache::View> views;
  for (int i = 0; i < 2; ++i) {
    spawn_into<Result<MapCache::View>>(cache_.load(BlockIndex{0}, geometry_of(10)),
                                       [&](auto view) { views.push_back(*view); });
  }
  scheduler.run_ready();
  ASSERT_THAT(views, SizeIs(2));
  EXPECT_EQ(views[0], views[1]);
}

TEST_F(MapCacheTest, does_not_keep_a_failure) {
  tree.corrupt("/ukai/disks/" + disk_.to_string() + "/map/00000000", "nonsense");
  EXPECT_TRUE(run(cache_.load(BlockIndex{0}, geometry_of(10))).failed_with(Code::corrupt));
  EXPECT_TRUE(
      run(cache_.load(BlockIndex{20'000}, geometry_of(20'000))).failed_with(Code::not_found));
  EXPECT_THAT(cache_.loaded(), IsEmpty());
}

TEST_F(MapCacheTest, calls_a_segment_corrupt_that_has_fewer_blocks_than_the_disk) {
  EXPECT_TRUE(run(cache_.load(BlockIndex{0}, geometry_of(11))).failed_with(Code::corrupt));
}

TEST_F(MapCacheTest, calls_a_segment_corrupt_that_is_in_the_place_of_another) {
  pb::MapSegment other = run(a.catalog.load_segment(disk_, 0))->segment;
  other.set_segment(5);
  tree.corrupt("/ukai/disks/" + disk_.to_string() + "/map/00000000", encode_record(other));
  EXPECT_TRUE(run(cache_.load(BlockIndex{0}, geometry_of(10))).failed_with(Code::corrupt));
}

TEST_F(MapCacheTest, finds_no_block_in_a_view_that_is_older_than_the_block) {
  load(0, geometry_of(10));
  grow(10, 12);
  EXPECT_NE(cache_.find(BlockIndex{9}), nullptr);
  EXPECT_EQ(cache_.find(BlockIndex{10}), nullptr);
}

TEST_F(MapCacheTest, loads_a_segment_again_that_has_grown) {
  const auto old = load(0, geometry_of(10));
  grow(10, 12);
  EXPECT_EQ(load(0, geometry_of(10)), old) << "who knows the old size needs no more";
  const auto grown = load(0, geometry_of(12));
  EXPECT_NE(grown, old);
  EXPECT_THAT(grown->locations(BlockIndex{11}), SizeIs(2));
  EXPECT_EQ(cache_.find(BlockIndex{0}), grown);
  EXPECT_THAT(old->locations(BlockIndex{9}), SizeIs(2)) << "readers outlive a replacement";
}

TEST_F(MapCacheTest, takes_a_segment_that_grew_since_the_caller_looked_at_the_size) {
  grow(10, 12);
  const auto view = load(0, geometry_of(10));
  ASSERT_NE(view, nullptr);
  EXPECT_EQ(load(11, geometry_of(12)), view);
}

TEST_F(MapCacheTest, never_replaces_a_view_by_an_older_one) {
  std::optional<MapCache::View> late;
  spawn_into<Result<MapCache::View>>(cache_.load(BlockIndex{0}, geometry_of(10)),
                                     [&](auto view) { late = view.ok() ? *view : nullptr; });
  grow(10, 12);
  const auto grown = load(11, geometry_of(12));
  scheduler.run_ready();
  ASSERT_TRUE(late && *late);
  EXPECT_EQ(cache_.find(BlockIndex{11}), grown);
}

TEST_F(MapCacheTest, keeps_full_segments_when_new_ones_come) {
  const DiskId large = create("large", 16384 * block_bytes);
  MapCache cache(a.catalog, large);
  const auto first = run(cache.load(BlockIndex{16383}, geometry_of(16384)));
  ASSERT_TRUE(first.ok());
  EXPECT_EQ(*run(cache.load(BlockIndex{0}, geometry_of(40'000))), *first);
}

}  // namespace
}  // namespace ukai
