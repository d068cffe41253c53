// SPDX-License-Identifier: BSD-2-Clause
#include "store/memory_block_store.h"

#include <gtest/gtest.h>

namespace ukai {
namespace {

constexpr std::uint32_t block_size = 64 << 10;
using Op = MemoryBlockStore::Op;

class MemoryStore : public testing::Test {
 protected:
  void SetUp() override { ASSERT_TRUE(store_.open_disk(disk_, block_size).ok()); }
  Result<> write(const std::string& text, std::uint32_t offset = 0) {
    const Payload data(Bytes::copy_of(text));
    return store_.write(key_, offset, data);
  }
  std::string read(std::uint32_t length, std::uint32_t offset = 0) {
    return (*store_.read(key_, offset, length, false))->to_string();
  }

  DiskId disk_;
  BlockKey key_{disk_, BlockIndex{3}};
  MemoryBlockStore store_;
};

TEST_F(MemoryStore, a_power_cut_loses_what_was_not_flushed) {
  ASSERT_TRUE(write("flushed").ok());
  ASSERT_TRUE(store_.flush(disk_).ok());
  ASSERT_TRUE(write("changed").ok());
  store_.power_cut();
  EXPECT_EQ(read(7), "flushed");
}

TEST_F(MemoryStore, a_power_cut_undoes_an_unflushed_discard) {
  ASSERT_TRUE(write("kept").ok());
  ASSERT_TRUE(store_.flush(disk_).ok());
  ASSERT_TRUE(store_.zero(key_, 0, block_size).ok());
  store_.power_cut();
  EXPECT_EQ(read(4), "kept");
}

TEST_F(MemoryStore, a_seeded_power_cut_keeps_some_sectors_and_is_repeatable) {
  const auto run = [](std::uint64_t seed) {
    MemoryBlockStore store;
    const DiskId disk;
    EXPECT_TRUE(store.open_disk(disk, block_size).ok());
    const Payload data(Bytes::copy_of(std::string(block_size, 'x')));
    EXPECT_TRUE(store.write({disk, BlockIndex{0}}, 0, data).ok());
    store.power_cut(seed);
    EXPECT_TRUE(store.accept({disk, BlockIndex{0}}, {0, block_size}).ok());
    return (*store.read({disk, BlockIndex{0}}, 0, block_size, false))->to_string();
  };
  EXPECT_EQ(run(1), run(1));
  EXPECT_NE(run(1), run(2));
  EXPECT_NE(run(1).find('x'), std::string::npos);
  EXPECT_NE(run(1).find('\0'), std::string::npos);
}

TEST_F(MemoryStore, small_files_survive_a_power_cut) {
  ASSERT_TRUE(store_.replace_file(disk_, "session", "s").ok());
  ASSERT_TRUE(store_.append_file(disk_, "dirty.log", "d").ok());
  store_.power_cut();
  EXPECT_EQ(**store_.load_file(disk_, "session"), "s");
  EXPECT_EQ(**store_.load_file(disk_, "dirty.log"), "d");
}

TEST_F(MemoryStore, a_failed_flush_loses_data_though_a_second_one_after_reopening_succeeds) {
  ASSERT_TRUE(write("lost").ok());
  store_.fail_next(Op::flush, Code::io);
  EXPECT_TRUE(store_.flush(disk_).failed_with(Code::io));
  EXPECT_TRUE(store_.flush(disk_).failed_with(Code::io)) << "sticky";
  ASSERT_TRUE(store_.open_disk(disk_, block_size).ok());
  EXPECT_TRUE(store_.flush(disk_).ok());
  EXPECT_EQ(read(4), "lost") << "the page cache has it still";
  store_.power_cut();
  EXPECT_EQ(read(4), std::string(4, '\0'));
}

TEST_F(MemoryStore, is_full_at_its_capacity_but_overwrites) {
  store_.set_capacity(8192);
  ASSERT_TRUE(write(std::string(8192, 'x')).ok());
  EXPECT_TRUE(write("y", 8192).failed_with(Code::no_space));
  EXPECT_TRUE(write("y", 100).ok());
  ASSERT_TRUE(store_.zero(key_, 4096, 4096).ok());
  EXPECT_TRUE(write("y", 8192).ok());
}

TEST_F(MemoryStore, cold_reads_are_not_ready) {
  store_.set_cold(true);
  EXPECT_FALSE(store_.read(key_, 0, 1, true)->has_value());
  EXPECT_TRUE(store_.read(key_, 0, 1, false)->has_value());
}

}  // namespace
}  // namespace ukai
