// SPDX-License-Identifier: BSD-2-Clause
// Reading, writing and making durable, by the calls that QEMU and tools make.
#include <sys/mman.h>
#include <sys/uio.h>

#include <chrono>
#include <cstring>
#include <latch>
#include <thread>
#include <vector>

#include "unit/fuse/mounted.h"

namespace ukai {
namespace {

using namespace std::chrono_literals;

/// Memory aligned to a page, moved by `shift` bytes: O_DIRECT through FUSE takes any.
class Memory {
 public:
  explicit Memory(std::size_t length, std::size_t shift = 0)
      : whole_(static_cast<char*>(std::aligned_alloc(4096, (length + shift + 8191) / 4096 * 4096))),
        data_(whole_ + shift),
        length_(length) {}
  ~Memory() { std::free(whole_); }
  Memory(const Memory&) = delete;
  Memory& operator=(const Memory&) = delete;
  char* data() { return data_; }
  std::string text() const { return {data_, length_}; }
  void fill(const std::string& text) { std::memcpy(data_, text.data(), length_); }

 private:
  char* whole_;
  char* data_;
  std::size_t length_;
};

std::string read_back(int file, std::size_t length, std::size_t offset) {
  std::string out(length, 'x');
  const ssize_t got = pread(file, out.data(), length, static_cast<off_t>(offset));
  out.resize(got < 0 ? 0 : static_cast<std::size_t>(got));
  return out;
}

ssize_t write_at(int file, const std::string& data, std::size_t offset) {
  return pwrite(file, data.data(), data.size(), static_cast<off_t>(offset));
}

using FuseIo = Mounted;

TEST_F(FuseIo, reads_zeros_where_nothing_was_written) {
  mount();
  File file(path("d"), O_RDONLY);
  EXPECT_EQ(read_back(*file, 4096, 12345), std::string(4096, '\0'));
}

TEST_F(FuseIo, reads_back_what_was_written_at_any_offset_and_length) {
  mount();
  File file(path("d"), O_RDWR);
  const std::vector<std::size_t> lengths{1,    511,   512,    4095,     4096,
                                         4097, 65537, 131072, 1U << 20, 2500000};
  unsigned seed = 0;
  for (const std::size_t length : lengths) {
    for (const std::size_t offset : {0UL, 1UL, 513UL, 65535UL, 1048575UL}) {
      const std::string data = pattern(length, ++seed);
      ASSERT_EQ(write_at(*file, data, offset), static_cast<ssize_t>(length));
      ASSERT_TRUE(read_back(*file, length, offset) == data) << length << " at " << offset;
      ASSERT_TRUE(cluster_.contents("d", offset, length) == data) << length << " at " << offset;
    }
  }
}

TEST_F(FuseIo, takes_direct_io_at_every_alignment) {
  mount();
  File file(path("d"), O_RDWR | O_DIRECT);
  ASSERT_GE(*file, 0);
  unsigned seed = 100;
  for (const std::size_t length : {512UL, 4096UL, 4096UL + 512, 1UL << 20}) {
    for (const std::size_t shift : {0UL, 512UL, 1UL}) {
      for (const std::size_t offset : {0UL, 512UL, 3UL, 4096UL * 7 + 512}) {
        Memory memory(length, shift);
        const std::string data = pattern(length, ++seed);
        memory.fill(data);
        ASSERT_EQ(pwrite(*file, memory.data(), length, static_cast<off_t>(offset)),
                  static_cast<ssize_t>(length));
        Memory back(length, shift);
        ASSERT_EQ(pread(*file, back.data(), length, static_cast<off_t>(offset)),
                  static_cast<ssize_t>(length));
        ASSERT_TRUE(back.text() == data) << length << " at " << offset << " shift " << shift;
      }
    }
  }
}

TEST_F(FuseIo, gets_a_mebibyte_in_one_request) {
  mount();
  File file(path("d"), O_WRONLY | O_DIRECT);
  Memory memory(1U << 20);
  memory.fill(pattern(1U << 20, 5));
  ASSERT_EQ(pwrite(*file, memory.data(), 1U << 20, 0), 1 << 20);
  EXPECT_EQ(cluster_.largest_write, 1U << 20);
  EXPECT_EQ(cluster_.writes, 1U);
}

TEST_F(FuseIo, answers_with_data_in_more_pieces_than_one_system_call_takes) {
  mount();
  File file(path("d"), O_RDWR | O_DIRECT);
  const std::string data = pattern(1U << 20, 6);
  ASSERT_EQ(write_at(*file, data, 0), 1 << 20);
  cluster_.read_piece_bytes = 512;
  EXPECT_TRUE(read_back(*file, 1U << 20, 0) == data);
}

TEST_F(FuseIo, takes_scattered_memory) {
  mount();
  File file(path("d"), O_RDWR);
  std::string a = pattern(1000, 1);
  std::string b = pattern(9000, 2);
  const iovec out[2] = {{a.data(), a.size()}, {b.data(), b.size()}};
  ASSERT_EQ(pwritev(*file, out, 2, 77), 10000);
  EXPECT_TRUE(read_back(*file, 10000, 77) == a + b);
}

TEST_F(FuseIo, ends_where_the_disk_ends) {
  mount();
  File file(path("d"), O_RDWR);
  EXPECT_EQ(read_back(*file, 4096, size_bytes), "");
  EXPECT_EQ(read_back(*file, 4096, size_bytes + 4096), "");
  EXPECT_EQ(read_back(*file, 4096, size_bytes - 100).size(), 100U);
  EXPECT_EQ(failure_of(write_at(*file, "x", size_bytes)), EFBIG);
  EXPECT_EQ(failure_of(write_at(*file, "x", size_bytes + 1000)), EFBIG);
  EXPECT_EQ(write_at(*file, pattern(4096, 1), size_bytes - 100), 100);
  EXPECT_EQ(cluster_.contents("d", size_bytes - 100, 100), pattern(4096, 1).substr(0, 100));
  EXPECT_EQ(lseek(*file, 0, SEEK_END), static_cast<off_t>(size_bytes));
  File append(path("d"), O_WRONLY | O_APPEND);
  EXPECT_EQ(failure_of(::write(*append, "x", 1)), EFBIG);
}

TEST_F(FuseIo, sees_a_resize_without_reopening) {
  mount();
  File file(path("d"), O_RDWR);
  EXPECT_EQ(failure_of(write_at(*file, "x", size_bytes)), EFBIG);
  cluster_.resize("d", size_bytes * 2);
  EXPECT_EQ(lseek(*file, 0, SEEK_END), static_cast<off_t>(size_bytes * 2));
  EXPECT_EQ(write_at(*file, "x", size_bytes), 1);
  EXPECT_EQ(read_back(*file, 1, size_bytes), "x");
}

TEST_F(FuseIo, runs_writers_of_one_file_side_by_side) {
  mount();
  std::vector<std::thread> writers;
  for (unsigned i = 0; i < 8; ++i) {
    writers.emplace_back([this, i] {
      File file(path("d"), O_RDWR | O_DIRECT);
      Memory memory(4096);
      for (std::size_t round = 0; round < 50; ++round) {
        const std::size_t offset = (round * 8 + i) * 4096;
        memory.fill(pattern(4096, static_cast<unsigned>(offset)));
        EXPECT_EQ(pwrite(*file, memory.data(), 4096, static_cast<off_t>(offset)), 4096);
      }
    });
  }
  for (auto& writer : writers) writer.join();
  EXPECT_GT(cluster_.writes_together.most(), 1) << "the kernel lets one writer in at a time";
  for (std::size_t at = 0; at < 8 * 50 * 4096; at += 4096) {
    ASSERT_TRUE(cluster_.contents("d", at, 4096) == pattern(4096, static_cast<unsigned>(at)));
  }
}

TEST_F(FuseIo, answers_on_the_spot_when_the_data_is_here) {
  disks_ = std::make_unique<fake::HostDisks>(cluster_, "h1", nullptr);
  FuseOptions options;
  options.threads = 2;
  mount(options);
  File file(path("d"), O_RDWR);
  const std::string data = pattern(3U << 20, 9);
  ASSERT_EQ(write_at(*file, data, 1), 3 << 20);
  EXPECT_TRUE(read_back(*file, data.size(), 1) == data);
}

TEST_F(FuseIo, has_a_second_thread_while_long_reads_wait_and_not_for_short_ones) {
  disks_ = std::make_unique<fake::HostDisks>(cluster_, "h1", nullptr);
  mount();
  cluster_.read_takes_us = 2000;
  const auto most_together = [this](std::size_t length, int rounds) {
    cluster_.reads_together.forget();
    std::vector<std::thread> readers;
    for (int i = 0; i < 4; ++i) {
      readers.emplace_back([this, length, rounds] {
        File file(path("d"), O_RDONLY | O_DIRECT);
        Memory memory(length);
        for (int round = 0; round < rounds; ++round) {
          EXPECT_EQ(pread(*file, memory.data(), length, 0), static_cast<ssize_t>(length));
        }
      });
    }
    for (auto& reader : readers) reader.join();
    return cluster_.reads_together.most();
  };
  EXPECT_EQ(most_together(4096, 20), 1);
  EXPECT_EQ(most_together(1U << 20, 20), 2);
  most_together(4096, 60);  // it leaves after a while
  EXPECT_EQ(most_together(4096, 20), 1);
}

/// Answers are kept back while a turn goes on, some at a time.
TEST_F(FuseIo, answers_every_request_of_a_turn_however_many_there_are) {
  disks_ = std::make_unique<fake::HostDisks>(cluster_, "h1", nullptr);
  mount();
  File file(path("d"), O_RDWR | O_DIRECT);
  constexpr std::size_t piece = 4096;
  const std::string before = pattern(11 * piece, 77);
  ASSERT_EQ(write_at(*file, before, 0), static_cast<ssize_t>(before.size()));
  for (unsigned count = 1; count <= 11; ++count) {
    std::latch held(1);
    reactor_.post([&held] { held.wait(); });
    std::vector<std::thread> guests;
    for (unsigned i = 0; i < count; ++i) {
      guests.emplace_back([&, i] {
        Memory memory(piece);
        const auto at = static_cast<off_t>(i * piece);
        const std::string data = pattern(piece, count + i);
        if (i % 3 == 0) {
          std::memcpy(memory.data(), data.data(), piece);
          EXPECT_EQ(pwrite(*file, memory.data(), piece, at), static_cast<ssize_t>(piece));
        } else {
          EXPECT_EQ(pread(*file, memory.data(), piece, at), static_cast<ssize_t>(piece));
          EXPECT_TRUE(memory.text() == before.substr(i * piece, piece)) << "another's answer";
        }
      });
    }
    std::this_thread::sleep_for(20ms);  // the kernel has them all
    held.count_down();
    for (auto& guest : guests) guest.join();
    EXPECT_TRUE(read_back(*file, piece, 0) == pattern(piece, count));
  }
}

TEST_F(FuseIo, makes_durable_on_fsync_and_fdatasync) {
  mount();
  File file(path("d"), O_RDWR);
  ASSERT_EQ(write_at(*file, "x", 0), 1);
  EXPECT_EQ(cluster_.flushes, 0U);
  EXPECT_EQ(fdatasync(*file), 0);
  EXPECT_EQ(cluster_.flushes, 1U);
  EXPECT_EQ(fsync(*file), 0);
  EXPECT_EQ(cluster_.flushes, 2U);
  File folder(point_, O_RDONLY | O_DIRECTORY);
  EXPECT_EQ(fsync(*folder), 0);
}

TEST_F(FuseIo, makes_durable_on_close_what_was_written_and_only_then) {
  mount();
  File reader(path("d"), O_RDONLY);
  EXPECT_EQ(reader.close(), 0);
  File idle(path("d"), O_RDWR);
  EXPECT_EQ(idle.close(), 0);
  EXPECT_EQ(cluster_.flushes, 0U);
  File writer(path("d"), O_RDWR);
  ASSERT_EQ(write_at(*writer, "x", 0), 1);
  EXPECT_EQ(writer.close(), 0);
  EXPECT_EQ(cluster_.flushes, 1U);
  File synced(path("d"), O_RDWR);
  ASSERT_EQ(write_at(*synced, "x", 0), 1);
  ASSERT_EQ(fdatasync(*synced), 0);
  EXPECT_EQ(synced.close(), 0);
  EXPECT_EQ(cluster_.flushes, 2U);
}

TEST_F(FuseIo, reports_a_failed_flush_to_fsync_and_close) {
  mount();
  File file(path("d"), O_RDWR);
  ASSERT_EQ(write_at(*file, "x", 0), 1);
  cluster_.fail_flushes = true;
  EXPECT_EQ(failure_of(fsync(*file)), EIO);
  EXPECT_EQ(failure_of(fsync(*file)), EIO) << "it is still not durable";
  EXPECT_EQ(file.close(), EIO);
}

TEST_F(FuseIo, makes_durable_before_the_answer_with_o_dsync) {
  mount();
  for (const int flag : {O_DSYNC, O_SYNC, O_DSYNC | O_DIRECT}) {
    File file(path("d"), O_RDWR | flag);
    Memory memory(4096);
    const unsigned before = cluster_.flushes;
    ASSERT_EQ(pwrite(*file, memory.data(), 4096, 0), 4096);
    EXPECT_EQ(cluster_.flushes, before + 1);
  }
  File file(path("d"), O_RDWR);
  std::string data(512, 'q');
  const iovec piece{data.data(), data.size()};
  const unsigned before = cluster_.flushes;
  ASSERT_EQ(pwritev2(*file, &piece, 1, 0, RWF_DSYNC), 512);
  EXPECT_EQ(cluster_.flushes, before + 1);
}

TEST_F(FuseIo, reports_a_failed_write) {
  mount();
  File file(path("d"), O_RDWR);
  cluster_.fail_writes = true;
  EXPECT_EQ(failure_of(write_at(*file, "x", 0)), EIO);
  cluster_.fail_writes = false;
  EXPECT_EQ(write_at(*file, "x", 0), 1);
}

TEST_F(FuseIo, lets_many_open_on_one_host_and_nobody_write_on_a_second) {
  mount();
  fake::HostDisks other(cluster_, "h2", &scheduler_);
  FuseOptions options;
  options.mount_point = own("second");
  ASSERT_EQ(run("mkdir $T/second"), 0);
  auto second = FuseSession::mount(options, other, reactor_, nullptr);
  ASSERT_TRUE(second.ok()) << second.error().what;
  {
    File one(path("d"), O_RDWR);
    File two(path("d"), O_RDWR);
    ASSERT_GE(*one, 0);
    ASSERT_GE(*two, 0);
    EXPECT_EQ(failure_of(open(own("second/d").c_str(), O_RDWR)), EBUSY);
    EXPECT_EQ(failure_of(open(own("second/d").c_str(), O_WRONLY)), EBUSY);
    EXPECT_EQ(failure_of(truncate(own("second/d").c_str(), 0)), EBUSY);
    ASSERT_EQ(write_at(*one, "shared", 0), 6);
    File reader(own("second/d"), O_RDONLY);
    EXPECT_EQ(read_back(*reader, 6, 0), "shared");
  }
  cluster_.refuse_opens = true;
  EXPECT_EQ(failure_of(open(path("d").c_str(), O_RDWR)), EACCES);
  EXPECT_EQ(failure_of(open(path("none").c_str(), O_RDWR)), ENOENT);
}

TEST_F(FuseIo, maps_into_memory_only_with_the_page_cache) {
  mount();
  {
    File file(path("d"), O_RDWR);
    EXPECT_EQ(mmap(nullptr, 4096, PROT_READ | PROT_WRITE, MAP_SHARED, *file, 0), MAP_FAILED);
  }
  session_.reset();
  FuseOptions options;
  options.kernel_cache = true;
  mount(options);
  File file(path("d"), O_RDWR);
  void* memory = mmap(nullptr, 4096, PROT_READ | PROT_WRITE, MAP_SHARED, *file, 0);
  ASSERT_NE(memory, MAP_FAILED);
  std::memcpy(memory, "mapped", 6);
  EXPECT_EQ(msync(memory, 4096, MS_SYNC), 0);
  munmap(memory, 4096);
  EXPECT_EQ(cluster_.contents("d", 0, 6), "mapped");
}

}  // namespace
}  // namespace ukai
