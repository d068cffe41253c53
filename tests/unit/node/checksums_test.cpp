// SPDX-License-Identifier: BSD-2-Clause
//
// A torn write is never taken for damage, nor damage for a torn write.
#include "node_fixture.h"

namespace ukai::test {
namespace {

constexpr std::uint32_t unit = BlockStore::unit_bytes;

class NodeChecksums : public NodeTest {
 protected:
  static BlockKey key(std::uint64_t block) { return {disk_of(1), BlockIndex{block}}; }
  std::string old_ = std::string(4 * unit, 'o');
  std::string new_ = std::string(4 * unit, 'n');

  /// Block 0 is durable and forgotten by the log, block 1 is in its active set.
  void settle_one_and_change_another() {
    fence(1, 1);
    write(0, old_, 0, 1);
    write(1, old_, 0, 2);
    flush();
    clean(2);
    EXPECT_EQ(listed(), Blocks{});
    write(1, new_, 0, 3);
    EXPECT_EQ(listed(), Blocks{1});
  }
};

TEST_F(NodeChecksums, damage_is_told_from_other_errors) {
  fence(1, 1);
  write(0, old_);
  node.store.corrupt(key(0), unit);
  EXPECT_TRUE(failed(send(read_of(0, 2 * unit)), Code::corrupt));
  EXPECT_TRUE(failed(send(write_of(0, "part", unit + 5)), Code::corrupt));
  EXPECT_EQ(read(0, unit), old_.substr(0, unit)) << "beside it";
  write(0, new_, 0, 2);
  EXPECT_EQ(read(0, 4 * unit), new_);
}

TEST_F(NodeChecksums, check_lists_what_does_not_fit) {
  fence(1, 1);
  write(0, old_);
  IoRequest check = io(IoOp::check);
  check.length_bytes = block_size;
  EXPECT_EQ(send(check).data.size(), 0U);
  node.store.corrupt(key(0), unit);
  const std::string expected{0, 0x10, 0, 0, 0, 0x20, 0, 0};
  EXPECT_EQ(send(check).data.to_string(), expected);
  check.length_bytes = block_size + unit;
  EXPECT_TRUE(failed(send(check), Code::invalid));
}

TEST_F(NodeChecksums, a_write_torn_by_a_power_cut_is_read_as_it_stands) {
  for (std::uint64_t seed = 1; seed <= 8; ++seed) {
    ASSERT_TRUE(node->delete_disk(disk_of(1)).ok());
    settle_one_and_change_another();
    node.power_cut(seed);
    fence(1, 2);
    const std::string found = read(1, 4 * unit);
    for (std::uint32_t at = 0; at < 4 * unit; at += unit) {
      const char first = found[at];
      EXPECT_TRUE(first == 'o' || first == 'n');
      EXPECT_EQ(found.substr(at, unit), std::string(unit, first));
    }
    EXPECT_TRUE(send(write_of(1, "part", unit + 5, 4)).ok);
  }
}

TEST_F(NodeChecksums, damage_beside_a_torn_write_stays_damage) {
  settle_one_and_change_another();
  node.store.corrupt(key(0), unit);
  node.power_cut();
  fence(1, 2);
  EXPECT_TRUE(failed(send(read_of(0, 2 * unit)), Code::corrupt));
}

TEST_F(NodeChecksums, a_torn_version_stays_logged_until_its_checksums_fit) {
  settle_one_and_change_another();
  node.power_cut(3);
  fence(1, 2);
  flush();
  clean(10, true);
  EXPECT_EQ(listed(), Blocks{1}) << "forgotten now, it would be called damaged after all";
  scheduler.run_ready();
  EXPECT_TRUE(node.store.check(key(1), {0, block_size})->empty());
  clean(10, true);
  EXPECT_EQ(listed(), Blocks{1}) << "the checksums are not on the medium yet";
  flush();
  clean(10, true);
  EXPECT_EQ(listed(), Blocks{});
  node.store.corrupt(key(1), 0);
  EXPECT_TRUE(failed(send(read_of(1, unit)), Code::corrupt)) << "the crash is over";
}

TEST_F(NodeChecksums, a_new_session_without_a_crash_excuses_nothing) {
  settle_one_and_change_another();
  fence(1, 2);
  node.store.corrupt(key(1), 0);
  fence(2, 1);
  EXPECT_TRUE(failed(send(read_of(1, unit)), Code::corrupt));
}

TEST_F(NodeChecksums, the_background_scrub_finds_what_nobody_reads) {
  EXPECT_EQ(node->scrub_step(), 0U) << "nothing is here";
  settle_one_and_change_another();
  node.store.corrupt(key(0), 3 * unit);
  node.store.corrupt(key(1), 0);  // is being changed: for the next pass
  EXPECT_EQ(node->scrub_step(), block_size);
  EXPECT_EQ(node->scrub_step(), 0U);
  EXPECT_EQ(node->health().scrub_found_units(), 1U);
  EXPECT_EQ(node->health().scrubbed_bytes(), block_size);
  EXPECT_EQ(node->health().scrub_passes(), 2U);
  flush();
  clean(3);
  EXPECT_EQ(node->scrub_step(), block_size) << "and again";
  EXPECT_EQ(node->scrub_step(), block_size);
  EXPECT_EQ(node->scrub_step(), 0U);
  EXPECT_EQ(node->health().scrub_found_units(), 3U);
}

}  // namespace
}  // namespace ukai::test
