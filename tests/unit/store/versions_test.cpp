// SPDX-License-Identifier: BSD-2-Clause
//
// Versions of a block side by side, in memory and in files on a file system that copies.
#include <gtest/gtest.h>

#include <sys/stat.h>

#include <algorithm>
#include <atomic>
#include <filesystem>
#include <memory>
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

BlockKey key_of(std::uint64_t generation, std::uint8_t disk = 1, std::uint64_t block = 5) {
  return {disk_of(disk), BlockIndex{block}, Generation{generation}};
}

Payload payload_of(const std::string& text) { return Payload(Bytes::copy_of(text)); }

class Versions : public testing::TestWithParam<bool> {
 protected:
  void SetUp() override {
    open();
    ASSERT_TRUE(store_->open_disk(disk_of(1), block_size).ok());
  }
  void open() {
    if (GetParam()) {
      FileStoreOptions options;
      options.root = folder_.path();
      options.node_id = NodeId("n1");
      options.cluster_id = "c";
      options.reserve_bytes = 0;
      options.quick_count = std::chrono::hours(1);
      auto opened = open_file_store(options);
      ASSERT_TRUE(opened.ok()) << opened.error().what;
      store_ = std::move(*opened);
    } else if (!store_) {
      store_ = std::make_unique<MemoryBlockStore>();
    }
  }
  /// As after a restart of the process.
  void reopen() {
    if (GetParam()) store_.reset();
    open();
  }
  std::string read(BlockKey key, std::uint32_t offset, std::uint32_t length) {
    auto got = store_->read(key, offset, length, false);
    EXPECT_TRUE(got.ok()) << got.error().what;
    return got.ok() ? (*got)->to_string() : std::string();
  }
  std::vector<Generation> versions(std::uint8_t disk = 1) {
    auto found = store_->versions(disk_of(disk), BlockIndex{5}, false);
    EXPECT_TRUE(found.ok() && found->has_value());
    return **found;
  }

  test::TempFolder folder_;
  std::unique_ptr<BlockStore> store_;
};

TEST_P(Versions, begin_as_a_copy_with_a_change) {
  const std::string old(block_size, 'a');
  ASSERT_TRUE(store_->write(key_of(1), 0, payload_of(old)).ok());
  ASSERT_TRUE(store_->fork(key_of(1), Generation{3}, 5000, payload_of("new")).ok());
  EXPECT_EQ(versions(), (std::vector{Generation{1}, Generation{3}}));
  std::string expected = old;
  expected.replace(5000, 3, "new");
  EXPECT_EQ(read(key_of(3), 0, block_size), expected);
  EXPECT_EQ(read(key_of(1), 0, block_size), old);
  ASSERT_TRUE(store_->write(key_of(3), 0, payload_of("later")).ok());
  expected.replace(0, 5, "later");
  ASSERT_TRUE(store_->flush(disk_of(1)).ok());
  reopen();
  EXPECT_EQ(read(key_of(3), 0, block_size), expected) << "its checksums fit after a restart";
  EXPECT_EQ(versions(), (std::vector{Generation{1}, Generation{3}}));
  EXPECT_TRUE(store_->check(key_of(3), {0, block_size})->empty());
  EXPECT_TRUE(store_->fork(key_of(1), Generation{3}, 0, payload_of("x")).failed_with(Code::exists));
}

// Of a copy that makes an older version right, while a change makes a younger one of it: whoever
// looks afterwards must find the younger one, or it must have what the older one got.
TEST_P(Versions, begin_with_what_their_base_got_while_they_were_not_there) {
  constexpr std::uint32_t unit = BlockStore::unit_bytes;
  for (std::uint64_t block = 0; block < 40; ++block) {
    const BlockKey base = key_of(1, 1, block);
    ASSERT_TRUE(store_->write(base, 0, payload_of(std::string(block_size, 'a'))).ok());
    std::atomic<bool> go{false};
    std::uint32_t owed = 0;  // units that the younger version must have
    std::thread writer([&] {
      while (!go) std::this_thread::yield();
      for (std::uint32_t at = 0; at < block_size; at += unit) {
        ASSERT_TRUE(store_->write(base, at, payload_of(std::string(unit, 'b'))).ok());
        if ((*store_->versions(disk_of(1), BlockIndex{block}, false))->size() > 1) break;
        ++owed;
      }
    });
    go = true;
    const auto forked =
        store_->fork(base, Generation{2}, block_size - unit, payload_of(std::string(unit, 'c')));
    EXPECT_TRUE(forked.ok()) << forked.error().what;
    writer.join();
    owed = std::min(owed, block_size / unit - 1);
    EXPECT_EQ(read(key_of(2, 1, block), 0, owed * unit), std::string(owed * unit, 'b'))
        << "block " << block;
    EXPECT_TRUE(store_->check(key_of(2, 1, block), {0, block_size})->empty());
  }
}

TEST_P(Versions, of_nothing_but_zeros_are_there) {
  ASSERT_TRUE(store_->write(key_of(1), 0, payload_of("abc")).ok());
  ASSERT_TRUE(store_->blank(key_of(2)).ok());
  EXPECT_EQ(versions(), (std::vector{Generation{1}, Generation{2}}));
  EXPECT_EQ(read(key_of(2), 0, 3), std::string(3, '\0'));
  ASSERT_TRUE(store_->blank(key_of(1)).ok());
  EXPECT_EQ(read(key_of(1), 0, 3), std::string(3, '\0'));
  ASSERT_TRUE(store_->zero(key_of(2), 0, block_size).ok());
  EXPECT_EQ(versions(), (std::vector{Generation{1}}));
}

TEST_P(Versions, make_a_disk_of_their_own_without_a_copy) {
  const std::string data(block_size, 'd');
  ASSERT_TRUE(store_->write(key_of(4), 0, payload_of(data)).ok());
  ASSERT_TRUE(store_->flush(disk_of(1)).ok());
  const std::vector<BlockKey> frozen{key_of(4)};
  ASSERT_TRUE(store_->clone_disk(disk_of(1), frozen, disk_of(2)).ok());
  EXPECT_TRUE(store_->clone_disk(disk_of(1), frozen, disk_of(2)).failed_with(Code::exists));
  EXPECT_EQ(read(key_of(1, 2), 0, block_size), data);
  EXPECT_EQ(versions(2), (std::vector{Generation{1}}));
  ASSERT_TRUE(store_->delete_disk(disk_of(1)).ok());
  reopen();
  EXPECT_EQ(read(key_of(1, 2), 0, block_size), data) << "it stands alone";
  // A clone of the clone, and a change of its own.
  ASSERT_TRUE(store_->clone_disk(disk_of(2), {key_of(1, 2)}, disk_of(3)).ok());
  ASSERT_TRUE(store_->fork(key_of(1, 3), Generation{2}, 0, payload_of("own")).ok());
  EXPECT_EQ(read(key_of(2, 3), 0, 4), "ownd");
  EXPECT_EQ(read(key_of(1, 2), 0, 4), "dddd");
}

// A copy from another node may still have to make a version right that a clone shares here.
TEST_P(Versions, that_are_shared_change_in_one_disk_only) {
  const std::string data(block_size, 'd');
  for (std::uint64_t block = 0; block < 5; ++block)
    ASSERT_TRUE(store_->write(key_of(4, 1, block), 0, payload_of(data)).ok());
  ASSERT_TRUE(store_->flush(disk_of(1)).ok());
  std::vector<BlockKey> frozen;
  for (std::uint64_t block = 0; block < 5; ++block) frozen.push_back(key_of(4, 1, block));
  ASSERT_TRUE(store_->clone_disk(disk_of(1), frozen, disk_of(2)).ok());
  ASSERT_TRUE(store_->write(key_of(4, 1, 0), 0, payload_of("origin")).ok());
  ASSERT_TRUE(store_->zero(key_of(4, 1, 1), 0, 8192).ok());
  ASSERT_TRUE(store_->blank(key_of(4, 1, 2)).ok());
  ASSERT_TRUE(store_->give_up(key_of(4, 1, 3), {0, 4096}).ok());
  ASSERT_TRUE(store_->write(key_of(1, 2, 4), 0, payload_of("clone")).ok());
  const auto look = [&] {
    for (std::uint64_t block = 0; block < 4; ++block)
      EXPECT_EQ(read(key_of(1, 2, block), 0, block_size), data) << "of the clone, block " << block;
    EXPECT_EQ(read(key_of(4, 1, 0), 0, 7), "origind");
    EXPECT_EQ(read(key_of(4, 1, 1), 8190, 4), std::string(2, '\0') + "dd");
    EXPECT_EQ(read(key_of(4, 1, 2), 0, block_size), std::string(block_size, '\0'));
    EXPECT_TRUE(store_->read(key_of(4, 1, 3), 0, 1, false).failed_with(Code::corrupt));
    EXPECT_EQ(read(key_of(4, 1, 4), 0, block_size), data);
    EXPECT_EQ(read(key_of(1, 2, 4), 0, 6), "cloned");
  };
  look();
  ASSERT_TRUE(store_->flush(disk_of(1)).ok());
  ASSERT_TRUE(store_->flush(disk_of(2)).ok());
  reopen();
  look();
}

TEST_P(Versions, that_are_shared_are_counted_once_and_only_while_somebody_shares_them) {
  if (!GetParam()) return;  // memory is never shared
  ASSERT_TRUE(store_->write(key_of(1), 0, payload_of(std::string(block_size, 'd'))).ok());
  ASSERT_TRUE(store_->flush(disk_of(1)).ok());
  const auto alone = *store_->usage(disk_of(1));
  EXPECT_GE(alone.allocated_bytes, block_size);
  EXPECT_EQ(alone.shared_bytes, 0U);
  ASSERT_TRUE(store_->clone_disk(disk_of(1), {key_of(1)}, disk_of(2)).ok());
  const auto both = *store_->usage(disk_of(1));
  EXPECT_EQ(both.allocated_bytes, alone.allocated_bytes);
  EXPECT_EQ(both.shared_bytes, alone.allocated_bytes);
  EXPECT_EQ(both.own_bytes + store_->usage(disk_of(2))->own_bytes, alone.allocated_bytes);
  ASSERT_TRUE(store_->delete_disk(disk_of(2)).ok());
  EXPECT_EQ(store_->usage(disk_of(1))->shared_bytes, 0U);
}

TEST_P(Versions, take_no_foreign_block_for_theirs) {
  if (!GetParam()) GTEST_SKIP() << "of files";
  ASSERT_TRUE(store_->write(key_of(1, 1, 5), 0, payload_of("five")).ok());
  ASSERT_TRUE(store_->write(key_of(1, 1, 6), 0, payload_of("six")).ok());
  ASSERT_TRUE(store_->flush(disk_of(1)).ok());
  store_.reset();
  const auto shard =
      std::filesystem::path(folder_.path()) / "disks" / disk_of(1).to_string() / "000000";
  std::filesystem::copy_file(shard / "00000005.1", shard / "00000006.1",
                             std::filesystem::copy_options::overwrite_existing);
  open();
  EXPECT_TRUE(store_->read(key_of(1, 1, 6), 0, 4, false).failed_with(Code::corrupt));
}

INSTANTIATE_TEST_SUITE_P(Stores, Versions, testing::Bool(),
                         [](const auto& kind) { return kind.param ? "files" : "memory"; });

}  // namespace
}  // namespace ukai
