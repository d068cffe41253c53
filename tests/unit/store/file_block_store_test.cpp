// SPDX-License-Identifier: BSD-2-Clause
#include "store/file_block_store.h"

#include <fcntl.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <linux/fs.h>
#include <sys/ioctl.h>
#include <sys/statvfs.h>
#include <unistd.h>

#include <fstream>
#include <iterator>
#include <optional>
#include <set>

#include "base/unique_fd.h"
#include "harness/temp_folder.h"
#include "store/text_record.h"

namespace ukai {
namespace {

namespace fs = std::filesystem;
using testing::HasSubstr;

constexpr std::uint32_t block_size = 64 << 10;

DiskId disk_one() {
  std::array<std::uint8_t, 16> bytes{};
  bytes[15] = 1;
  return DiskId(bytes);
}

std::string slurp(const fs::path& path) {
  std::ifstream file(path, std::ios::binary);
  return {std::istreambuf_iterator<char>(file), {}};
}

void spill(const fs::path& path, const std::string& text) {
  std::ofstream(path, std::ios::binary) << text;
}

std::set<std::string> tree(const fs::path& root) {
  std::set<std::string> names;
  for (const auto& entry : fs::recursive_directory_iterator(root))
    names.insert(fs::relative(entry.path(), root).string());
  return names;
}

class FileStore : public testing::Test {
 protected:
  FileStoreOptions options() const {
    FileStoreOptions options;
    options.root = folder_.path();
    options.node_id = NodeId("n1");
    options.cluster_id = "cluster-a";
    options.reserve_bytes = 0;
    options.quick_count = std::chrono::hours(1);
    return options;
  }
  /// The error of opening, which must leave the folder as it is.
  Error refusal(const FileStoreOptions& options) {
    const auto before = tree(folder_.path());
    auto opened = open_file_store(options);
    EXPECT_FALSE(opened.ok());
    if (opened.ok()) return Error{Code::io, ""};
    EXPECT_EQ(tree(folder_.path()), before);
    EXPECT_EQ(opened.error().what.find('\n'), std::string::npos);
    return opened.error();
  }
  void format() {
    auto store = open_file_store(options());
    ASSERT_TRUE(store.ok()) << store.error().what;
  }
  fs::path block_path() const {
    return folder_.path() / "disks" / disk_one().to_string() / "000000" / "00000005.1";
  }

  const BlockKey key_{disk_one(), BlockIndex{5}};
  const Payload data_{Bytes::copy_of("hello")};
  test::TempFolder folder_;
};

TEST_F(FileStore, keeps_its_identity_over_restarts) {
  auto first = open_file_store(options());
  ASSERT_TRUE(first.ok());
  const std::string id = (*first)->store_id();
  EXPECT_EQ(id.size(), 32U);
  first->reset();
  auto second = open_file_store(options());
  ASSERT_TRUE(second.ok());
  EXPECT_EQ((*second)->store_id(), id);
}

TEST_F(FileStore, lays_blocks_out_as_documented) {
  auto store = open_file_store(options());
  ASSERT_TRUE(store.ok());
  ASSERT_TRUE((*store)->open_disk(disk_one(), block_size).ok());
  ASSERT_TRUE((*store)->write(key_, 4096, data_).ok());
  ASSERT_TRUE((*store)->write({disk_one(), BlockIndex{0x12ab}, Generation{12}}, 0, data_).ok());
  EXPECT_EQ(fs::file_size(block_path()), block_size + 64 + block_size / 4096 * 4)
      << "data, header, a checksum for each 4 KiB";
  EXPECT_EQ(slurp(block_path()).substr(4096, 5), "hello");
  EXPECT_TRUE(
      fs::exists(folder_.path() / "disks" / disk_one().to_string() / "000012" / "000012ab.12"));
  EXPECT_EQ(slurp(folder_.path() / "lock"), std::to_string(::getpid()) + "\n");
}

/// Of a folder, with `more` set if its file system can; nullopt: it cannot.
std::optional<int> flags_of(const fs::path& folder, int more) {
  const UniqueFd fd(::open(folder.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
  int flags = 0;
  if (::ioctl(fd.get(), FS_IOC_GETFLAGS, &flags) != 0) return std::nullopt;
  flags |= more;
  if (more != 0 && ::ioctl(fd.get(), FS_IOC_SETFLAGS, &flags) != 0) return std::nullopt;
  return flags;
}

TEST_F(FileStore, has_ext4_put_the_folders_of_disks_far_apart) {
  const test::TempFolder other;
  const bool possible = flags_of(other.path(), FS_TOPDIR_FL).has_value();
  format();
  const int flags = flags_of(folder_.path() / "trash", 0).value_or(0);  // they begin in there
  EXPECT_EQ((flags & FS_TOPDIR_FL) != 0, possible);
}

TEST_F(FileStore, finds_everything_again_after_a_restart) {
  {
    auto store = open_file_store(options());
    ASSERT_TRUE((*store)->open_disk(disk_one(), block_size).ok());
    ASSERT_TRUE((*store)->write(key_, 0, data_).ok());
  }
  auto store = open_file_store(options());
  ASSERT_TRUE(store.ok());
  EXPECT_EQ(*(*store)->disks(), std::vector<DiskId>{disk_one()});
  EXPECT_EQ((*(*store)->read(key_, 0, 5, false))->to_string(), "hello");
  EXPECT_TRUE((*store)->flush(disk_one()).ok());
  EXPECT_TRUE((*store)->open_disk(disk_one(), 2 * block_size).failed_with(Code::invalid));
}

TEST_F(FileStore, a_folder_that_does_not_exist_is_named) {
  auto wrong = options();
  wrong.root += "/nowhere";
  const Error error = refusal(wrong);
  EXPECT_EQ(error.code, Code::not_found);
  EXPECT_THAT(error.what, HasSubstr("nowhere does not exist"));
}

TEST_F(FileStore, a_file_in_place_of_the_folder_is_named) {
  spill(folder_.path() / "file", "x");
  auto wrong = options();
  wrong.root += "/file";
  EXPECT_THAT(refusal(wrong).what, HasSubstr("/file is not a folder"));
}

TEST_F(FileStore, a_foreign_folder_is_refused) {
  spill(folder_.path() / "photo.jpg", "x");
  const Error error = refusal(options());
  EXPECT_EQ(error.code, Code::refused);
  EXPECT_THAT(error.what, HasSubstr("is not a UKAI store"));
}

TEST_F(FileStore, a_store_that_lost_its_identity_is_not_formatted_over) {
  format();
  fs::create_directories(folder_.path() / "disks" / "something");
  fs::remove(folder_.path() / "ukai-store");
  EXPECT_THAT(refusal(options()).what, HasSubstr("is not a UKAI store"));
}

TEST_F(FileStore, an_empty_folder_is_formatted_only_when_asked) {
  auto careful = options();
  careful.create_if_empty = false;
  EXPECT_EQ(refusal(careful).code, Code::not_found);
  format();
  EXPECT_TRUE(open_file_store(careful).ok());
}

TEST_F(FileStore, what_an_interrupted_format_left_is_formatted_again) {
  fs::create_directories(folder_.path() / "disks");
  fs::create_directories(folder_.path() / "lost+found");
  spill(folder_.path() / "lock", "1");
  spill(folder_.path() / "ukai-store.tmp", "UKAI st");
  format();
}

TEST_F(FileStore, another_node_or_cluster_is_refused_and_both_are_named) {
  format();
  auto wrong = options();
  wrong.node_id = NodeId("n2");
  EXPECT_THAT(refusal(wrong).what, HasSubstr("belongs to node n1, this is node n2"));
  wrong = options();
  wrong.cluster_id = "cluster-b";
  EXPECT_THAT(refusal(wrong).what,
              HasSubstr("belongs to cluster cluster-a, this is cluster cluster-b"));
}

TEST_F(FileStore, a_newer_format_is_refused) {
  format();
  TextRecord newer("store", 3);
  spill(folder_.path() / "ukai-store", newer.encode());
  const Error error = refusal(options());
  EXPECT_EQ(error.code, Code::refused);
  EXPECT_THAT(error.what, HasSubstr("format 3 is newer than this program's 2"));
}

TEST_F(FileStore, a_damaged_identity_is_corrupt) {
  format();
  std::string text = slurp(folder_.path() / "ukai-store");
  text[text.find("n1")] = 'm';
  spill(folder_.path() / "ukai-store", text);
  EXPECT_EQ(refusal(options()).code, Code::corrupt);
}

TEST_F(FileStore, a_second_daemon_is_refused_with_the_process_id_of_the_first) {
  auto first = open_file_store(options());
  ASSERT_TRUE(first.ok());
  const Error error = refusal(options());
  EXPECT_EQ(error.code, Code::busy);
  EXPECT_THAT(error.what, HasSubstr("is in use by process " + std::to_string(::getpid())));
}

TEST_F(FileStore, folders_that_may_not_be_read_or_written_are_told_apart) {
  if (::geteuid() != 0) GTEST_SKIP() << "changes user, which needs root";
  ASSERT_EQ(::seteuid(65534), 0);
  const Error not_writable = refusal(options());
  ASSERT_EQ(::seteuid(0), 0);
  EXPECT_EQ(not_writable.code, Code::refused);
  EXPECT_THAT(not_writable.what, HasSubstr("is not writable: Permission denied"));

  fs::permissions(folder_.path(), fs::perms(0700));
  ASSERT_EQ(::seteuid(65534), 0);
  auto opened = open_file_store(options());
  ASSERT_EQ(::seteuid(0), 0);
  ASSERT_FALSE(opened.ok());
  EXPECT_THAT(opened.error().what, HasSubstr("cannot be read: Permission denied"));
}

TEST_F(FileStore, a_damaged_disk_refuses_alone) {
  std::array<std::uint8_t, 16> bytes{};
  const DiskId other(bytes);
  {
    auto store = open_file_store(options());
    ASSERT_TRUE((*store)->open_disk(disk_one(), block_size).ok());
    ASSERT_TRUE((*store)->open_disk(other, block_size).ok());
  }
  spill(folder_.path() / "disks" / disk_one().to_string() / "disk", "rubbish");
  auto store = open_file_store(options());
  ASSERT_TRUE(store.ok());
  auto damaged = (*store)->open_disk(disk_one(), block_size);
  ASSERT_TRUE(damaged.failed_with(Code::corrupt));
  EXPECT_THAT(damaged.error().what, HasSubstr(disk_one().to_string()));
  EXPECT_TRUE((*store)->open_disk(other, block_size).ok());
}

TEST_F(FileStore, left_over_trash_is_removed_at_the_next_start) {
  format();
  fs::create_directories(folder_.path() / "trash" / "abc" / "000000");
  spill(folder_.path() / "trash" / "abc" / "000000" / "00000000.1", "x");
  format();
  EXPECT_TRUE(fs::is_empty(folder_.path() / "trash"));
}

TEST_F(FileStore, deleting_a_disk_leaves_nothing_behind) {
  auto store = open_file_store(options());
  ASSERT_TRUE((*store)->open_disk(disk_one(), block_size).ok());
  ASSERT_TRUE((*store)->write(key_, 0, data_).ok());
  ASSERT_TRUE((*store)->delete_disk(disk_one()).ok());
  EXPECT_TRUE(fs::is_empty(folder_.path() / "trash"));
  EXPECT_TRUE(fs::is_empty(folder_.path() / "disks"));
}

TEST_F(FileStore, keeps_the_reserve_free_but_lets_data_be_overwritten) {
  auto store = open_file_store(options());
  ASSERT_TRUE((*store)->open_disk(disk_one(), block_size).ok());
  const Payload page(Bytes::copy_of(std::string(4096, 'x')));
  ASSERT_TRUE((*store)->write(key_, 4096, page).ok());
  ASSERT_TRUE((*store)->flush(disk_one()).ok());
  store->reset();

  auto full = options();
  full.reserve_bytes = 1ULL << 60;
  store = open_file_store(full);
  ASSERT_TRUE(store.ok());
  EXPECT_EQ((*store)->space()->free_bytes, 0U);
  EXPECT_TRUE((*store)->write(key_, 4096, page).ok()) << "takes no space";
  EXPECT_TRUE((*store)->write(key_, 8192, page).failed_with(Code::no_space));
  EXPECT_TRUE((*store)->write({disk_one(), BlockIndex{6}}, 0, page).failed_with(Code::no_space));
  EXPECT_FALSE(fs::exists(block_path().parent_path() / "00000006.1")) << "nothing left behind";
  EXPECT_TRUE((*store)->zero(key_, 4096, 4096).ok());
  EXPECT_TRUE((*store)->replace_file(disk_one(), "session", "s").ok()) << "what it is kept for";
}

TEST_F(FileStore, closes_files_beyond_its_bound) {
  auto few = options();
  few.open_files_max = 4;
  auto folder = open_store_folder(few.root, {few.node_id, few.cluster_id}, true);
  ASSERT_TRUE(folder.ok());
  FileBlockStore store(std::move(*folder), few, false);
  ASSERT_TRUE(store.open_disk(disk_one(), block_size).ok());
  const auto descriptors = [] {
    return std::distance(fs::directory_iterator("/proc/self/fd"), fs::directory_iterator());
  };
  ASSERT_TRUE(store.write(key_, 0, data_).ok());
  const auto before = descriptors();
  for (std::uint64_t i = 0; i < 50; ++i)
    ASSERT_TRUE(store.write({disk_one(), BlockIndex{i}}, 0, data_).ok());
  EXPECT_LE(store.open_files(), 4U);
  EXPECT_LE(descriptors(), before + 4);
  EXPECT_TRUE(store.flush(disk_one()).ok());
}

TEST_F(FileStore, remembers_a_failure_to_sync_until_the_disk_is_reopened) {
  // /dev/full-like devices cannot be synced to fail on demand; a shard folder that cannot be opened
  // can.
  auto store = open_file_store(options());
  ASSERT_TRUE((*store)->open_disk(disk_one(), block_size).ok());
  ASSERT_TRUE((*store)->write(key_, 0, data_).ok());
  const fs::path shard = block_path().parent_path();
  fs::rename(shard, shard.string() + "-away");
  EXPECT_TRUE((*store)->flush(disk_one()).failed_with(Code::io));
  fs::rename(shard.string() + "-away", shard);
  EXPECT_TRUE((*store)->flush(disk_one()).failed_with(Code::io)) << "a second one proves nothing";
  ASSERT_TRUE((*store)->open_disk(disk_one(), block_size).ok());
  EXPECT_TRUE((*store)->flush(disk_one()).ok());
}

TEST_F(FileStore, fetches_what_will_be_read) {
  {
    auto store = open_file_store(options());
    ASSERT_TRUE((*store)->open_disk(disk_one(), block_size).ok());
    ASSERT_TRUE((*store)->write(key_, 0, data_).ok());
    ASSERT_TRUE((*store)->flush(disk_one()).ok());
  }
  {
    const UniqueFd file(::open(block_path().c_str(), O_RDONLY | O_CLOEXEC));
    ASSERT_EQ(::posix_fadvise(file.get(), 0, 0, POSIX_FADV_DONTNEED), 0);
  }
  auto store = open_file_store(options());
  ASSERT_TRUE((*store)->open_disk(disk_one(), block_size).ok());
  const auto ready = [&] {
    const auto read = (*store)->read(key_, 0, block_size, true);
    return read.ok() && read->has_value();
  };
  EXPECT_FALSE(ready()) << "not even open";
  (*store)->will_read(key_);
  for (int i = 0; i < 1000 && !ready(); ++i) ::usleep(1000);
  EXPECT_TRUE(ready());
  // Nothing to be done, and no harm.
  (*store)->will_read({disk_one(), BlockIndex{6}});
  (*store)->will_read({DiskId(), BlockIndex{0}});
  EXPECT_FALSE(fs::exists(block_path().parent_path() / "00000006.1"));
}

TEST_F(FileStore, reads_again_into_buffers_that_were_given_back) {
  auto pool = std::make_shared<BufferPool>(16 << 10);
  { const auto a = pool->take(5000), b = pool->take(5000), c = pool->take(5000); }
  EXPECT_EQ(pool->kept_bytes(), 16U << 10) << "two of 8 KiB, the third is over the bound";
  const auto kept = pool->take(8192).bytes();
  pool.reset();
  EXPECT_EQ(kept.size(), 8192U) << "outlives the pool's owner";
}

}  // namespace
}  // namespace ukai
