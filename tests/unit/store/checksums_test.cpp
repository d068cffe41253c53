// SPDX-License-Identifier: BSD-2-Clause
//
// Data that was damaged is never returned, whatever happened to it: every BlockStore, and what can
// happen to files.
#include <fcntl.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <unistd.h>
#include <xxhash.h>

#include <filesystem>
#include <memory>
#include <random>
#include <thread>

#include "harness/temp_folder.h"
#include "store/block_file.h"
#include "store/file_block_store.h"
#include "store/memory_block_store.h"
#include "store/unit_hash.h"

namespace ukai {
namespace {

namespace fs = std::filesystem;
using testing::HasSubstr;

constexpr std::uint32_t block_size = 64 << 10;
constexpr std::uint32_t unit = BlockStore::unit_bytes;

DiskId disk_one() {
  std::array<std::uint8_t, 16> bytes{};
  bytes[15] = 1;
  return DiskId(bytes);
}

BlockKey key_of(std::uint64_t block) { return {disk_one(), BlockIndex{block}, Generation{1}}; }
Payload payload_of(const std::string& text) { return Payload(Bytes::copy_of(text)); }

/// What a node wrote is read on a processor with fewer instructions as well.
TEST(UnitHash, is_xxh3_whichever_instructions_work_it_out) {
  std::mt19937 dice(1);
  for (const std::size_t length :
       {std::size_t{0}, std::size_t{5}, std::size_t{300}, std::size_t{4096}}) {
    std::string content(length, '\0');
    for (char& byte : content) byte = static_cast<char>(dice());
    EXPECT_EQ(hash_of_unit(std::as_bytes(std::span(content))),
              XXH3_64bits(content.data(), content.size()));
  }
}

enum class Kind { memory, files };

class Checksums : public testing::TestWithParam<Kind> {
 protected:
  void SetUp() override {
    open();
    for (std::uint64_t block : {0, 1}) {
      const std::string text(4 * unit, static_cast<char>('a' + block));
      ASSERT_TRUE(store_->write(key_of(block), unit, payload_of(text)).ok());
    }
    ASSERT_TRUE(store_->flush(disk_one()).ok());
  }
  void open() {
    if (GetParam() == Kind::memory) {
      if (store_) return;
      store_ = std::make_unique<MemoryBlockStore>();
    } else {
      store_.reset();
      FileStoreOptions options;
      options.root = folder_.path();
      options.node_id = NodeId("n1");
      options.cluster_id = "c";
      options.reserve_bytes = 0;
      options.quick_count = std::chrono::hours(1);
      store_ = std::move(*open_file_store(options));
    }
    ASSERT_TRUE(store_->open_disk(disk_one(), block_size).ok());
  }
  fs::path path(std::uint64_t block) const {
    return folder_.path() / "disks" / disk_one().to_string() / OpenBlock::name(key_of(block));
  }
  void turn_a_bit(std::uint64_t block, std::uint32_t offset) {
    if (auto* memory = dynamic_cast<MemoryBlockStore*>(store_.get())) {
      memory->corrupt(key_of(block), offset);
      return;
    }
    const UniqueFd fd(::open(path(block).c_str(), O_RDWR));
    char byte = 0;
    ASSERT_EQ(::pread(fd.get(), &byte, 1, offset), 1);
    byte = static_cast<char>(byte ^ 1);
    ASSERT_EQ(::pwrite(fd.get(), &byte, 1, offset), 1);
  }
  Result<std::optional<Payload>> read(std::uint64_t block, std::uint32_t offset,
                                      std::uint32_t length) {
    return store_->read(key_of(block), offset, length, false);
  }
  bool damaged(std::uint64_t block, std::uint32_t offset, std::uint32_t length) {
    return read(block, offset, length).failed_with(Code::corrupt);
  }
  std::vector<Extent> found(std::uint64_t block) {
    auto bad = store_->check(key_of(block), {0, block_size});
    EXPECT_TRUE(bad.ok());
    return bad.ok() ? *bad : std::vector<Extent>{{1, 1}};
  }
  using Extents = std::vector<Extent>;

  test::TempFolder folder_;
  std::unique_ptr<BlockStore> store_;
};

TEST_P(Checksums, a_turned_bit_fails_its_unit_and_no_other) {
  turn_a_bit(0, 2 * unit + 77);
  EXPECT_TRUE(damaged(0, 2 * unit, unit));
  EXPECT_TRUE(damaged(0, 0, block_size));
  EXPECT_TRUE(damaged(0, 3 * unit - 1, 1)) << "far from the bit, but of the same unit";
  EXPECT_EQ((*read(0, unit, unit))->to_string(), std::string(unit, 'a'));
  EXPECT_EQ((*read(0, 3 * unit, unit))->to_string(), std::string(unit, 'a'));
  EXPECT_EQ(found(0), (Extents{{2 * unit, 3 * unit}}));
  EXPECT_EQ(found(1), Extents{});
}

TEST_P(Checksums, a_turned_bit_in_what_was_never_written_is_found) {
  turn_a_bit(0, 9 * unit);
  EXPECT_TRUE(damaged(0, 9 * unit, 100));
  EXPECT_EQ(found(0), (Extents{{9 * unit, 10 * unit}}));
  const auto extents = *store_->extents(key_of(0));
  EXPECT_TRUE(std::find(extents.begin(), extents.end(), Extent{9 * unit, 10 * unit}) !=
              extents.end())
      << "or nobody would ever read it";
}

TEST_P(Checksums, a_partial_change_does_not_make_damage_good) {
  turn_a_bit(0, 2 * unit);
  EXPECT_TRUE(store_->write(key_of(0), 2 * unit + 9, payload_of("x")).failed_with(Code::corrupt));
  EXPECT_TRUE(store_->write(key_of(0), unit, payload_of(std::string(unit + 1, 'x')))
                  .failed_with(Code::corrupt));
  EXPECT_TRUE(store_->zero(key_of(0), 2 * unit, 100).failed_with(Code::corrupt));
  EXPECT_TRUE(damaged(0, 2 * unit, unit));
  EXPECT_EQ((*read(0, unit, 4))->to_string(), "aaaa") << "what fails changes nothing";
}

TEST_P(Checksums, a_change_of_the_whole_unit_mends_it) {
  for (std::uint32_t i = 1; i < 4; ++i) turn_a_bit(0, i * unit);
  ASSERT_TRUE(store_->write(key_of(0), unit, payload_of(std::string(unit, 'n'))).ok());
  ASSERT_TRUE(store_->zero(key_of(0), 2 * unit, unit).ok());
  EXPECT_EQ((*read(0, unit, unit))->to_string(), std::string(unit, 'n'));
  EXPECT_EQ((*read(0, 2 * unit, unit))->to_string(), std::string(unit, '\0'));
  EXPECT_EQ(found(0), (Extents{{3 * unit, 4 * unit}}));
}

TEST_P(Checksums, zeroing_the_block_mends_all_of_it) {
  turn_a_bit(0, 2 * unit);
  ASSERT_TRUE(store_->zero(key_of(0), 0, block_size).ok());
  EXPECT_EQ((*read(0, 0, block_size))->to_string(), std::string(block_size, '\0'));
  EXPECT_EQ(found(0), Extents{});
}

TEST_P(Checksums, after_a_crash_what_stands_there_can_be_accepted) {
  turn_a_bit(0, 2 * unit);
  EXPECT_EQ(*store_->accept(key_of(0), {0, block_size}), 1U);
  EXPECT_EQ((*read(0, 2 * unit, 3))->to_string(), "`aa");
  EXPECT_EQ(found(0), Extents{});
  EXPECT_EQ(*store_->accept(key_of(0), {0, block_size}), 0U);
  EXPECT_EQ(*store_->accept(key_of(7), {0, block_size}), 0U) << "of a block that is not there";
}

TEST_P(Checksums, what_was_given_up_stays_damaged_until_it_is_written) {
  for (std::uint64_t block : {0, 5}) {
    ASSERT_TRUE(store_->give_up(key_of(block), {2 * unit, 3 * unit}).ok());
    open();
    EXPECT_EQ(found(block), (Extents{{2 * unit, 3 * unit}}));
    EXPECT_EQ(*store_->accept(key_of(block), {0, block_size}), 0U) << "no crash excuses it";
    EXPECT_TRUE(damaged(block, 2 * unit, unit));
    ASSERT_TRUE(store_->write(key_of(block), 2 * unit, payload_of(std::string(unit, 'n'))).ok());
    EXPECT_EQ(found(block), Extents{});
  }
}

TEST_P(Checksums, unaligned_changes_keep_them_right) {
  std::mt19937 random(7);
  std::string model = (*read(0, 0, block_size))->to_string();
  for (int i = 0; i < 300; ++i) {
    const auto offset = static_cast<std::uint32_t>(random() % block_size);
    const auto length =
        static_cast<std::uint32_t>(1 + random() % std::min(9000U, block_size - offset));
    if (random() % 3 == 0) {
      ASSERT_TRUE(store_->zero(key_of(0), offset, length).ok());
      model.replace(offset, length, length, '\0');
    } else {
      const std::string text(length, static_cast<char>('A' + i % 26));
      ASSERT_TRUE(store_->write(key_of(0), offset, payload_of(text)).ok());
      model.replace(offset, length, text);
    }
  }
  EXPECT_EQ(found(0), Extents{});
  EXPECT_EQ((*read(0, 0, block_size))->to_string(), model);
  open();  // again from the file
  EXPECT_EQ((*read(0, 0, block_size))->to_string(), model);
}

TEST_P(Checksums, a_read_beside_writes_to_the_same_unit_sees_no_damage) {
  std::atomic<bool> done{false};
  std::thread writer([&] {
    for (std::uint32_t i = 0; i < 2000; ++i) {
      const std::string text(i % 3 == 0 ? 512 : unit, static_cast<char>('a' + i % 26));
      EXPECT_TRUE(store_->write(key_of(0), unit, payload_of(text)).ok());
    }
    done = true;
  });
  while (!done) EXPECT_TRUE(read(0, unit + 1024, 512).ok());
  writer.join();
}

TEST_P(Checksums, lists_the_blocks_that_are_here) {
  EXPECT_EQ(store_->holding(disk_one())->blocks, (std::vector<BlockKey>{key_of(0), key_of(1)}));
  ASSERT_TRUE(store_->zero(key_of(0), 0, block_size).ok());
  EXPECT_EQ(store_->holding(disk_one())->blocks, (std::vector<BlockKey>{key_of(1)}));
}

INSTANTIATE_TEST_SUITE_P(Stores, Checksums, testing::Values(Kind::memory, Kind::files),
                         [](const auto& kind) {
                           return kind.param == Kind::memory ? "memory" : "files";
                         });

/// What can happen to a file while nobody has it open, or somebody has.
class DamagedFile : public Checksums {
 protected:
  void expect_all_damaged(std::uint64_t block) {
    EXPECT_TRUE(damaged(block, unit, unit));
    EXPECT_TRUE(damaged(block, 0, 512));
    EXPECT_EQ(found(block), (Extents{{0, block_size}}));
    EXPECT_EQ(*store_->extents(key_of(block)), (Extents{{0, block_size}}));
    // And is mended unit by unit.
    ASSERT_TRUE(store_->write(key_of(block), unit, payload_of(std::string(unit, 'm'))).ok());
    ASSERT_TRUE(store_->flush(disk_one()).ok());
    open();
    EXPECT_EQ((*read(block, unit, unit))->to_string(), std::string(unit, 'm'));
    EXPECT_TRUE(damaged(block, 2 * unit, unit));
    EXPECT_TRUE(damaged(block, 9 * unit, unit)) << "was zeros, but who can tell?";
  }
};

TEST_P(DamagedFile, shortened) {
  store_.reset();
  fs::resize_file(path(0), 2 * unit);
  open();
  expect_all_damaged(0);
}

TEST_P(DamagedFile, shortened_to_its_data) {
  store_.reset();
  fs::resize_file(path(0), block_size);
  open();
  expect_all_damaged(0);
}

TEST_P(DamagedFile, shortened_while_it_is_open) {
  fs::resize_file(path(0), 2 * unit);
  EXPECT_EQ((*read(0, unit, unit))->to_string(), std::string(unit, 'a'));
  EXPECT_TRUE(damaged(0, 2 * unit, unit));
  EXPECT_FALSE(found(0).empty());
}

TEST_P(DamagedFile, zeroed) {
  store_.reset();
  const auto size = fs::file_size(path(0));
  fs::resize_file(path(0), 0);
  fs::resize_file(path(0), size);
  open();
  expect_all_damaged(0);
}

TEST_P(DamagedFile, swapped) {
  store_.reset();
  fs::rename(path(0), folder_.path() / "x");
  fs::rename(path(1), path(0));
  fs::rename(folder_.path() / "x", path(1));
  open();
  expect_all_damaged(0);
  expect_all_damaged(1);
}

TEST_P(DamagedFile, units_swapped_within_it) {
  ASSERT_TRUE(store_->write(key_of(0), unit, payload_of(std::string(unit, '1'))).ok());
  ASSERT_TRUE(store_->write(key_of(0), 2 * unit, payload_of(std::string(unit, '2'))).ok());
  const UniqueFd fd(::open(path(0).c_str(), O_RDWR));
  const std::string one(unit, '1');
  const std::string two(unit, '2');
  ASSERT_EQ(::pwrite(fd.get(), two.data(), unit, unit), unit);
  ASSERT_EQ(::pwrite(fd.get(), one.data(), unit, 2 * unit), unit);
  EXPECT_EQ(found(0), (Extents{{unit, 3 * unit}}));
}

TEST_P(DamagedFile, deleted) {
  store_.reset();
  fs::remove(path(0));
  open();
  expect_all_damaged(0);
}

TEST_P(DamagedFile, deleted_while_it_is_open) {
  fs::remove(path(0));
  EXPECT_EQ(found(0), (Extents{{0, block_size}})) << "a check looks at the name, too";
  expect_all_damaged(0);
}

TEST_P(DamagedFile, deleted_and_taken_for_a_crash) {
  store_.reset();
  fs::remove(path(0));
  open();
  EXPECT_EQ(*store_->accept(key_of(0), {0, block_size}), block_size / unit);
  open();
  EXPECT_EQ((*read(0, 0, block_size))->to_string(), std::string(block_size, '\0'));
}

TEST_P(DamagedFile, a_block_that_was_discarded_is_not_missed) {
  ASSERT_TRUE(store_->zero(key_of(0), 0, block_size).ok());
  open();
  EXPECT_EQ((*read(0, 0, unit))->to_string(), std::string(unit, '\0'));
  EXPECT_EQ(found(0), Extents{});
  EXPECT_EQ(store_->holding(disk_one())->blocks.size(), 1U);
}

TEST_P(DamagedFile, a_damaged_checksum_is_found_and_mended_while_the_memory_has_it) {
  turn_a_bit(0, block_size + 64 + 2 * 4);
  EXPECT_EQ(found(0), (Extents{{2 * unit, 3 * unit}}));
  EXPECT_EQ(found(0), Extents{}) << "written again from memory";
  open();
  EXPECT_EQ((*read(0, 2 * unit, unit))->to_string(), std::string(unit, 'a'));
}

TEST_P(DamagedFile, a_damaged_checksum_makes_the_unit_damaged) {
  store_.reset();
  turn_a_bit(0, block_size + 64 + 2 * 4);
  open();
  EXPECT_TRUE(damaged(0, 2 * unit, unit));
  EXPECT_EQ(found(0), (Extents{{2 * unit, 3 * unit}}));
}

TEST_P(DamagedFile, a_damaged_header_while_it_is_open_is_mended) {
  turn_a_bit(0, block_size + 20);
  EXPECT_EQ(found(0), (Extents{{0, block_size}}));
  EXPECT_EQ(found(0), Extents{});
  open();
  EXPECT_EQ((*read(0, unit, unit))->to_string(), std::string(unit, 'a'));
}

TEST_P(DamagedFile, the_error_names_file_and_place) {
  turn_a_bit(0, 2 * unit);
  const auto error = read(0, unit, 2 * unit).error();
  EXPECT_THAT(error.what, HasSubstr("000000/00000000.1: bytes 8192..12288"));
}

INSTANTIATE_TEST_SUITE_P(Files, DamagedFile, testing::Values(Kind::files),
                         [](const auto&) { return "files"; });

TEST(MemoryChecksums, a_power_cut_tears_data_from_checksums_and_nothing_that_was_flushed) {
  std::uint32_t torn = 0;
  for (std::uint64_t seed = 1; seed <= 20; ++seed) {
    MemoryBlockStore store;
    ASSERT_TRUE(store.open_disk(disk_one(), block_size).ok());
    ASSERT_TRUE(store.write(key_of(0), 0, payload_of(std::string(block_size, 'o'))).ok());
    ASSERT_TRUE(store.flush(disk_one()).ok());
    ASSERT_TRUE(store.write(key_of(0), 0, payload_of(std::string(4 * unit, 'n'))).ok());
    store.power_cut(seed);
    torn += *store.accept(key_of(0), {0, 4 * unit});
    EXPECT_TRUE(store.check(key_of(0), {0, block_size})->empty());
  }
  EXPECT_GT(torn, 0U);
}

}  // namespace
}  // namespace ukai
