// SPDX-License-Identifier: BSD-2-Clause
//
// What every BlockStore promises, checked against memory, files on the temporary folder's file
// system and files on tmpfs.
#include <gtest/gtest.h>

#include <algorithm>
#include <filesystem>
#include <memory>
#include <random>
#include <thread>

#include "harness/temp_folder.h"
#include "store/file_block_store.h"
#include "store/memory_block_store.h"

namespace ukai {
namespace {

constexpr std::uint32_t block_size = 256 << 10;

DiskId disk_of(std::uint8_t number) {
  std::array<std::uint8_t, 16> bytes{};
  bytes[15] = number;
  return DiskId(bytes);
}

BlockKey key_of(std::uint64_t block, std::uint64_t generation = 1) {
  return {disk_of(1), BlockIndex{block}, Generation{generation}};
}

Payload payload_of(const std::string& text) { return Payload(Bytes::copy_of(text)); }

enum class Kind { memory, files, tmpfs };

class BlockStoreContract : public testing::TestWithParam<Kind> {
 protected:
  void SetUp() override {
    if (GetParam() == Kind::memory) {
      store_ = std::make_unique<MemoryBlockStore>();
    } else {
      const char* base = GetParam() == Kind::tmpfs ? "/dev/shm" : nullptr;
      folder_ =
          base ? std::make_unique<test::TempFolder>(base) : std::make_unique<test::TempFolder>();
      FileStoreOptions options;
      options.root = folder_->path();
      options.node_id = NodeId("n1");
      options.cluster_id = "c";
      options.reserve_bytes = 0;
      options.quick_count = std::chrono::hours(1);
      options.open_files_max = 3;  // so that the cache works all the time
      auto opened = open_file_store(options);
      ASSERT_TRUE(opened.ok()) << opened.error().what;
      store_ = std::move(*opened);
    }
    ASSERT_TRUE(store_->open_disk(disk_of(1), block_size).ok());
  }

  std::string read(BlockKey key, std::uint32_t offset, std::uint32_t length) {
    auto got = store_->read(key, offset, length, false);
    EXPECT_TRUE(got.ok() && got->has_value());
    return (*got)->to_string();
  }
  void write(BlockKey key, std::uint32_t offset, const std::string& text) {
    auto written = store_->write(key, offset, payload_of(text));
    EXPECT_TRUE(written.ok()) << written.error().what;
  }

  std::unique_ptr<test::TempFolder> folder_;
  std::unique_ptr<BlockStore> store_;
};

TEST_P(BlockStoreContract, reads_zeros_where_nothing_was_written) {
  EXPECT_EQ(read(key_of(7), 100, 5000), std::string(5000, '\0'));
  write(key_of(7), 4096, "abc");
  EXPECT_EQ(read(key_of(7), 4090, 12), std::string(6, '\0') + "abc" + std::string(3, '\0'));
  EXPECT_EQ(read(key_of(7), block_size - 10, 10), std::string(10, '\0'));
  EXPECT_EQ(store_->usage(disk_of(1))->blocks, 1U) << "reading must not make files";
}

TEST_P(BlockStoreContract, keeps_blocks_and_generations_apart) {
  write(key_of(1, 1), 0, "one");
  write(key_of(1, 2), 0, "two");
  write(key_of(257, 1), 0, "far");
  EXPECT_EQ(read(key_of(1, 1), 0, 3), "one");
  EXPECT_EQ(read(key_of(1, 2), 0, 3), "two");
  EXPECT_EQ(read(key_of(257, 1), 0, 3), "far");
  EXPECT_EQ(store_->usage(disk_of(1))->blocks, 3U);
}

TEST_P(BlockStoreContract, writes_a_payload_of_very_many_pieces_in_order) {
  Payload data;
  std::string expected;
  for (int i = 0; i < 3000; ++i) {  // more than one pwritev takes
    const std::string piece(static_cast<std::size_t>(1 + i % 7), static_cast<char>('a' + i % 26));
    expected += piece;
    data.append(Bytes::copy_of(piece));
  }
  ASSERT_TRUE(store_->write(key_of(0), 13, data).ok());
  EXPECT_EQ(read(key_of(0), 13, static_cast<std::uint32_t>(expected.size())), expected);
}

TEST_P(BlockStoreContract, zeroes_a_range_and_nothing_beside_it) {
  write(key_of(0), 0, std::string(64 << 10, 'x'));
  ASSERT_TRUE(store_->zero(key_of(0), 1000, 20000).ok());
  const std::string got = read(key_of(0), 0, 64 << 10);
  EXPECT_EQ(got.substr(0, 1000), std::string(1000, 'x'));
  EXPECT_EQ(got.substr(1000, 20000), std::string(20000, '\0'));
  EXPECT_EQ(got.substr(21000), std::string((64 << 10) - 21000, 'x'));
}

TEST_P(BlockStoreContract, zeroing_gives_space_back) {
  write(key_of(0), 0, std::string(block_size, 'x'));
  const auto before = store_->usage(disk_of(1))->allocated_bytes;
  EXPECT_GE(before, block_size);
  ASSERT_TRUE(store_->zero(key_of(0), 0, block_size / 2).ok());
  EXPECT_LT(store_->usage(disk_of(1))->allocated_bytes, before);
}

TEST_P(BlockStoreContract, zeroing_a_whole_block_makes_it_vanish) {
  write(key_of(0), 5, "abc");
  ASSERT_TRUE(store_->zero(key_of(0), 0, block_size).ok());
  EXPECT_EQ(store_->usage(disk_of(1))->blocks, 0U);
  EXPECT_EQ(read(key_of(0), 0, 16), std::string(16, '\0'));
  ASSERT_TRUE(store_->flush(disk_of(1)).ok());
  write(key_of(0), 5, "new");
  EXPECT_EQ(read(key_of(0), 4, 4), std::string(1, '\0') + "new");
}

TEST_P(BlockStoreContract, zeroing_what_was_never_written_makes_nothing) {
  ASSERT_TRUE(store_->zero(key_of(3), 0, 4096).ok());
  ASSERT_TRUE(store_->zero(key_of(4), 0, block_size).ok());
  EXPECT_EQ(store_->usage(disk_of(1))->blocks, 0U);
  EXPECT_TRUE(store_->flush(disk_of(1)).ok());
}

TEST_P(BlockStoreContract, extents_cover_exactly_what_may_hold_data) {
  EXPECT_TRUE(store_->extents(key_of(9))->empty());
  write(key_of(9), 64 << 10, std::string(4096, 'x'));
  write(key_of(9), 128 << 10, std::string(8192, 'x'));
  const auto extents = store_->extents(key_of(9));
  ASSERT_TRUE(extents.ok());
  const std::vector<Extent> expected{{64 << 10, (64 << 10) + 4096},
                                     {128 << 10, (128 << 10) + 8192}};
  EXPECT_EQ(*extents, expected);
}

TEST_P(BlockStoreContract, refuses_ranges_beyond_the_block) {
  EXPECT_TRUE(
      store_->write(key_of(0), block_size - 1, payload_of("ab")).failed_with(Code::invalid));
  EXPECT_TRUE(store_->read(key_of(0), block_size, 1, false).failed_with(Code::invalid));
  EXPECT_TRUE(store_->zero(key_of(0), 1, block_size).failed_with(Code::invalid));
  EXPECT_EQ(store_->usage(disk_of(1))->blocks, 0U);
}

TEST_P(BlockStoreContract, refuses_a_disk_it_does_not_have) {
  const BlockKey key{disk_of(9), BlockIndex{0}};
  EXPECT_TRUE(store_->write(key, 0, payload_of("a")).failed_with(Code::not_found));
  EXPECT_TRUE(store_->read(key, 0, 1, false).failed_with(Code::not_found));
  EXPECT_TRUE(store_->flush(disk_of(9)).failed_with(Code::not_found));
  EXPECT_TRUE(store_->append_file(disk_of(9), "session", "x").failed_with(Code::not_found));
}

TEST_P(BlockStoreContract, refuses_another_block_size) {
  EXPECT_TRUE(store_->open_disk(disk_of(1), block_size).ok());
  EXPECT_TRUE(store_->open_disk(disk_of(1), block_size * 2).failed_with(Code::invalid));
}

TEST_P(BlockStoreContract, deletes_a_disk_with_all_it_has_and_no_other) {
  ASSERT_TRUE(store_->open_disk(disk_of(2), block_size).ok());
  write(key_of(0), 0, "gone");
  write({disk_of(2), BlockIndex{0}}, 0, "kept");
  ASSERT_TRUE(store_->replace_file(disk_of(1), "session", "s").ok());
  ASSERT_TRUE(store_->delete_disk(disk_of(1)).ok());
  ASSERT_TRUE(store_->delete_disk(disk_of(1)).ok()) << "repeating is not an error";
  EXPECT_EQ(*store_->disks(), std::vector<DiskId>{disk_of(2)});
  ASSERT_TRUE(store_->open_disk(disk_of(1), block_size).ok());
  EXPECT_EQ(read(key_of(0), 0, 4), std::string(4, '\0'));
  EXPECT_FALSE(store_->load_file(disk_of(1), "session")->has_value());
  EXPECT_EQ(read({disk_of(2), BlockIndex{0}}, 0, 4), "kept");
}

TEST_P(BlockStoreContract, keeps_small_files) {
  EXPECT_FALSE(store_->load_file(disk_of(1), "session")->has_value());
  ASSERT_TRUE(store_->replace_file(disk_of(1), "session", "first").ok());
  ASSERT_TRUE(store_->replace_file(disk_of(1), "session", "2nd").ok());
  EXPECT_EQ(**store_->load_file(disk_of(1), "session"), "2nd");
  ASSERT_TRUE(store_->append_file(disk_of(1), "dirty.log", "a").ok());
  ASSERT_TRUE(store_->append_file(disk_of(1), "dirty.log", "b").ok());
  EXPECT_EQ(**store_->load_file(disk_of(1), "dirty.log"), "ab");
  ASSERT_TRUE(store_->replace_file(disk_of(1), "dirty.log", "c").ok());
  ASSERT_TRUE(store_->append_file(disk_of(1), "dirty.log", "d").ok());
  EXPECT_EQ(**store_->load_file(disk_of(1), "dirty.log"), "cd");
}

TEST_P(BlockStoreContract, answers_ready_only_reads_of_what_was_just_written) {
  write(key_of(2), 0, std::string(8192, 'r'));
  auto got = store_->read(key_of(2), 0, 8192, true);
  ASSERT_TRUE(got.ok());
  // A file system that cannot tell answers nullopt, which is allowed; a wrong answer is not.
  if (got->has_value()) {
    EXPECT_EQ((*got)->to_string(), std::string(8192, 'r'));
  }
}

TEST_P(BlockStoreContract, works_with_many_more_blocks_than_open_files) {
  for (std::uint64_t i = 0; i < 40; ++i) write(key_of(i * 100), 0, std::to_string(i) + "....");
  for (std::uint64_t i = 0; i < 40; ++i)
    EXPECT_EQ(read(key_of(i * 100), 0, 4), (std::to_string(i) + "....").substr(0, 4));
  EXPECT_TRUE(store_->flush(disk_of(1)).ok());
}

TEST_P(BlockStoreContract, equals_a_plain_array_under_random_operations) {
  std::mt19937 random(42);
  constexpr std::uint64_t blocks = 8;
  std::vector<std::string> model(blocks, std::string(block_size, '\0'));
  for (int step = 0; step < 400; ++step) {
    const std::uint64_t block = random() % blocks;
    const std::uint32_t offset = static_cast<std::uint32_t>(random()) % block_size;
    const std::uint32_t length = 1 + static_cast<std::uint32_t>(random()) % (block_size - offset);
    switch (random() % 5) {
      case 0:
        ASSERT_TRUE(store_->zero(key_of(block), offset, length).ok());
        std::fill_n(model[block].begin() + offset, length, '\0');
        break;
      case 1:
        ASSERT_TRUE(store_->zero(key_of(block), 0, block_size).ok());
        model[block].assign(block_size, '\0');
        break;
      case 2:
        ASSERT_EQ(read(key_of(block), offset, length), model[block].substr(offset, length));
        break;
      case 3:
        ASSERT_TRUE(store_->flush(disk_of(1)).ok());
        break;
      default: {
        const std::string text(std::min(length, 20000U), static_cast<char>('A' + step % 26));
        write(key_of(block), offset, text);
        model[block].replace(offset, text.size(), text);
      }
    }
  }
  for (std::uint64_t i = 0; i < blocks; ++i)
    EXPECT_TRUE(read(key_of(i), 0, block_size) == model[i]) << "block " << i;
}

TEST_P(BlockStoreContract, serves_threads_side_by_side) {
  std::vector<std::thread> threads;
  for (unsigned t = 0; t < 4; ++t) {
    threads.emplace_back([this, t] {
      for (std::uint64_t i = 0; i < 60; ++i) {
        // The same blocks, ranges of its own.
        const std::string text(512, static_cast<char>('a' + t));
        const std::uint32_t offset = t * 4096;
        EXPECT_TRUE(store_->write(key_of(i % 6), offset, payload_of(text)).ok());
        if (i % 20 == 7) {
          EXPECT_TRUE(store_->flush(disk_of(1)).ok());
        }
        if (i % 16 == 3) {
          EXPECT_TRUE(store_->zero(key_of(100 + t), 0, block_size).ok());
        }
        EXPECT_TRUE(store_->write(key_of(100 + t), 0, payload_of(text)).ok());
        EXPECT_EQ(read(key_of(i % 6), offset, 512), text);
        EXPECT_TRUE(store_->extents(key_of(i % 6)).ok());
      }
    });
  }
  for (auto& thread : threads) thread.join();
}

std::string kind_name(const testing::TestParamInfo<Kind>& kind) {
  if (kind.param == Kind::memory) return "memory";
  return kind.param == Kind::files ? "files" : "tmpfs";
}

INSTANTIATE_TEST_SUITE_P(Stores, BlockStoreContract,
                         testing::Values(Kind::memory, Kind::files, Kind::tmpfs), kind_name);

}  // namespace
}  // namespace ukai
