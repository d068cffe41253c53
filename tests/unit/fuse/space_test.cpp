// SPDX-License-Identifier: BSD-2-Clause
// Truncation, holes and zeroing: the size of a disk never changes through its file.
#include <fcntl.h>
#include <linux/falloc.h>
#include <sys/stat.h>
#include <sys/wait.h>

#include "unit/fuse/mounted.h"

namespace ukai {
namespace {

constexpr std::size_t chunk = fake::chunk_bytes;

/// Every test in both cache modes: the page cache must not show what was discarded.
class FuseSpace : public Mounted, public ::testing::WithParamInterface<bool> {
 protected:
  void SetUp() override {
    Mounted::SetUp();
    FuseOptions options;
    options.kernel_cache = GetParam();
    mount(options);
    data_ = pattern(size_bytes, 42);
    File file(path("d"), O_RDWR);
    ASSERT_EQ(pwrite(*file, data_.data(), data_.size(), 0), static_cast<ssize_t>(data_.size()));
  }

  /// The file's bytes as a reader sees them through `file`.
  std::string seen(int file) {
    std::string out(size_bytes, 'x');
    std::size_t got = 0;
    while (got < out.size()) {
      const ssize_t piece =
          pread(file, out.data() + got, out.size() - got, static_cast<off_t>(got));
      if (piece <= 0) break;
      got += static_cast<std::size_t>(piece);
    }
    out.resize(got);
    return out;
  }

  /// What should be there after the range was zeroed.
  std::string zeroed(std::size_t begin, std::size_t end) {
    data_.replace(begin, end - begin, end - begin, '\0');
    return data_;
  }

  std::string data_;
};

INSTANTIATE_TEST_SUITE_P(CacheModes, FuseSpace, ::testing::Bool(),
                         [](const auto& mode) { return mode.param ? "kernel_cache" : "direct"; });

TEST_P(FuseSpace, discards_beyond_the_new_end_and_keeps_the_size) {
  File file(path("d"), O_RDWR);
  ASSERT_TRUE(seen(*file) == data_);
  ASSERT_EQ(failure_of(ftruncate(*file, 1000001)), 0);
  struct stat after {};
  ASSERT_EQ(fstat(*file, &after), 0);
  EXPECT_EQ(after.st_size, static_cast<off_t>(size_bytes));
  EXPECT_LE(after.st_blocks, 1000001 / 512 + 256);
  EXPECT_TRUE(seen(*file) == zeroed(1000001, size_bytes));
  EXPECT_EQ(failure_of(ftruncate(*file, size_bytes)), 0);
  EXPECT_EQ(failure_of(ftruncate(*file, size_bytes + 1)), EFBIG);
  EXPECT_TRUE(seen(*file) == data_);
}

TEST_P(FuseSpace, truncates_a_disk_that_nobody_has_open) {
  ASSERT_EQ(failure_of(truncate(path("d").c_str(), 4096)), 0);
  File file(path("d"), O_RDONLY);
  EXPECT_TRUE(seen(*file) == zeroed(4096, size_bytes));
  EXPECT_EQ(failure_of(truncate(path("d").c_str(), size_bytes + 4096)), EFBIG);
  EXPECT_GE(cluster_.flushes, 1U);
}

TEST_P(FuseSpace, discards_all_with_o_trunc) {
  File file(path("d"), O_RDWR | O_TRUNC);
  ASSERT_GE(*file, 0);
  EXPECT_EQ(lseek(*file, 0, SEEK_END), static_cast<off_t>(size_bytes));
  EXPECT_TRUE(seen(*file) == std::string(size_bytes, '\0'));
}

TEST_P(FuseSpace, punches_holes) {
  File file(path("d"), O_RDWR);
  ASSERT_TRUE(seen(*file) == data_);
  const int mode = FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE;
  ASSERT_EQ(failure_of(fallocate(*file, mode, 512, 512)), 0);
  EXPECT_TRUE(seen(*file) == zeroed(512, 1024));
  ASSERT_EQ(failure_of(fallocate(*file, mode, chunk, 4 * chunk)), 0);
  EXPECT_TRUE(seen(*file) == zeroed(chunk, 5 * chunk));
  ASSERT_EQ(failure_of(fallocate(*file, mode, size_bytes - 100, 1 << 20)), 0);
  EXPECT_TRUE(seen(*file) == zeroed(size_bytes - 100, size_bytes));
  ASSERT_EQ(failure_of(fallocate(*file, mode, size_bytes + 100, 1 << 20)), 0);
  ASSERT_EQ(failure_of(fallocate(*file, mode, 0, size_bytes)), 0);
  EXPECT_TRUE(seen(*file) == zeroed(0, size_bytes));
}

TEST_P(FuseSpace, zeroes_ranges_with_and_without_keep_size) {
  File file(path("d"), O_RDWR);
  ASSERT_EQ(failure_of(fallocate(*file, FALLOC_FL_ZERO_RANGE, 4096, 8192)), 0);
  EXPECT_TRUE(seen(*file) == zeroed(4096, 12288));
  const int keep = FALLOC_FL_ZERO_RANGE | FALLOC_FL_KEEP_SIZE;
  ASSERT_EQ(failure_of(fallocate(*file, keep, size_bytes - 512, 1024)), 0);
  EXPECT_TRUE(seen(*file) == zeroed(size_bytes - 512, size_bytes));
  EXPECT_EQ(failure_of(fallocate(*file, FALLOC_FL_ZERO_RANGE, size_bytes - 512, 1024)), EFBIG);
  struct stat after {};
  ASSERT_EQ(fstat(*file, &after), 0);
  EXPECT_EQ(after.st_size, static_cast<off_t>(size_bytes));
}

TEST_P(FuseSpace, allocates_nothing_ahead_and_changes_nothing) {
  File file(path("d"), O_RDWR);
  EXPECT_EQ(failure_of(fallocate(*file, 0, 0, size_bytes)), 0);
  EXPECT_EQ(failure_of(fallocate(*file, 0, size_bytes - 1, 2)), EFBIG);
  EXPECT_EQ(failure_of(fallocate(*file, FALLOC_FL_KEEP_SIZE, size_bytes, 4096)), 0);
  EXPECT_EQ(failure_of(fallocate(*file, FALLOC_FL_COLLAPSE_RANGE, 0, 4096)), EOPNOTSUPP);
  EXPECT_EQ(failure_of(fallocate(*file, FALLOC_FL_INSERT_RANGE, 0, 4096)), EOPNOTSUPP);
  EXPECT_TRUE(seen(*file) == data_);
}

TEST_P(FuseSpace, finds_data_and_holes) {
  File file(path("d"), O_RDWR);
  const int mode = FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE;
  ASSERT_EQ(fallocate(*file, mode, 2 * chunk, 3 * chunk), 0);
  ASSERT_EQ(fallocate(*file, mode, size_bytes - chunk, chunk), 0);
  EXPECT_EQ(lseek(*file, 0, SEEK_DATA), 0);
  EXPECT_EQ(lseek(*file, 5, SEEK_HOLE), static_cast<off_t>(2 * chunk));
  EXPECT_EQ(lseek(*file, 2 * chunk + 7, SEEK_HOLE), static_cast<off_t>(2 * chunk + 7));
  EXPECT_EQ(lseek(*file, 2 * chunk, SEEK_DATA), static_cast<off_t>(5 * chunk));
  EXPECT_EQ(lseek(*file, 5 * chunk, SEEK_HOLE), static_cast<off_t>(size_bytes - chunk));
  EXPECT_EQ(failure_of(lseek(*file, size_bytes - chunk, SEEK_DATA)), ENXIO);
  EXPECT_EQ(failure_of(lseek(*file, size_bytes, SEEK_DATA)), ENXIO);
  EXPECT_EQ(failure_of(lseek(*file, size_bytes, SEEK_HOLE)), ENXIO);
  ASSERT_EQ(pwrite(*file, "x", 1, size_bytes - 1), 1);
  EXPECT_EQ(lseek(*file, size_bytes - 1, SEEK_HOLE), static_cast<off_t>(size_bytes));
}

TEST_P(FuseSpace, loses_nothing_when_a_write_beyond_the_known_end_fails_after_a_resize) {
  // An asynchronous write that fails beyond what the kernel takes for the end makes it truncate.
  File file(path("d"), O_RDWR | O_DIRECT);
  cluster_.resize("d", size_bytes * 2);
  {
    fake::HostDisks other(cluster_, "h1", nullptr);  // the guest's other path: grown part has data
    auto disk = sync_wait(other.open(DiskName("d"), OpenMode::read_write));
    ASSERT_TRUE(disk.ok());
    Payload good(Bytes::copy_of(std::string("good")));
    ASSERT_TRUE(sync_wait((*disk)->write(size_bytes, std::move(good))).ok());
  }
  cluster_.fail_writes = true;
  const int status =
      run("fio --name=x --filename=$M/d --ioengine=libaio --direct=1 --rw=write "
          "--bs=4k --offset=8m --size=4k --iodepth=4 --allow_file_create=0 "
          ">/dev/null 2>&1");
  EXPECT_NE(status, 0);
  cluster_.fail_writes = false;
  EXPECT_EQ(cluster_.contents("d", size_bytes, 4), "good");
}

}  // namespace
}  // namespace ukai
