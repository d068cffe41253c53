// SPDX-License-Identifier: BSD-2-Clause
// The mount goes from one session to the next, while its files are open.
#include <dirent.h>
#include <sys/stat.h>

#include <chrono>
#include <thread>

#include "unit/fuse/mounted.h"

namespace ukai {
namespace {

using namespace std::chrono_literals;

struct flock qemu_byte(short type) {
  struct flock lock {};
  lock.l_type = type;
  lock.l_whence = SEEK_SET;
  lock.l_start = 101;
  lock.l_len = 1;
  return lock;
}

class FuseHandOver : public Mounted {
 protected:
  void SetUp() override {
    Mounted::SetUp();
    mount();
  }
  /// As another process would, with disks of its own.
  void adopt(Inherited mount) {
    session_.reset();
    disks_ = std::make_unique<fake::HostDisks>(cluster_, "h1", io_);
    FuseOptions options;
    options.mount_point = point_;
    auto made = FuseSession::adopt(options, *disks_, reactor_, std::move(mount), nullptr);
    ASSERT_TRUE(made.ok()) << made.error().what;
    session_ = std::move(*made);
  }
  void hand_over() {
    auto mount = session_->hand_over(5s);
    ASSERT_TRUE(mount.ok()) << mount.error().what;
    adopt(std::move(*mount));
    auto begun = session_->begin();
    ASSERT_TRUE(begun.ok()) << begun.error().what;
  }

  Scheduler* io_ = &scheduler_;  // of the next process: null: it answers on the spot
};

TEST_F(FuseHandOver, leaves_open_files_and_their_locks_as_they_are) {
  File file(path("d"), O_RDWR);
  File second(path("d"), O_RDWR);
  ASSERT_EQ(pwrite(*file, "before", 6, 0), 6);
  struct flock lock = qemu_byte(F_RDLCK);
  ASSERT_EQ(failure_of(fcntl(*file, F_OFD_SETLK, &lock)), 0);
  ASSERT_EQ(chmod(path("d").c_str(), 0640), 0);
  struct stat was {};
  ASSERT_EQ(fstat(*file, &was), 0);
  for (int i = 0; i < 3; ++i) hand_over();
  char read[6];
  EXPECT_EQ(pread(*file, read, sizeof read, 0), 6);
  EXPECT_EQ(std::string(read, 6), "before");
  EXPECT_EQ(pwrite(*second, "after!", 6, 8192), 6);
  EXPECT_EQ(cluster_.contents("d", 8192, 6), "after!");
  struct stat is {};
  ASSERT_EQ(fstat(*file, &is), 0);
  EXPECT_EQ(is.st_ino, was.st_ino);
  EXPECT_EQ(is.st_mode & 0777, 0640U);
  lock = qemu_byte(F_WRLCK);
  ASSERT_EQ(fcntl(*second, F_OFD_GETLK, &lock), 0);
  EXPECT_EQ(lock.l_type, F_RDLCK) << "held by the first";
  file.close();
  for (int i = 0; i < 500 && lock.l_type != F_UNLCK; ++i) {
    std::this_thread::sleep_for(10ms);
    lock = qemu_byte(F_WRLCK);
    ASSERT_EQ(fcntl(*second, F_OFD_GETLK, &lock), 0);
  }
  EXPECT_EQ(lock.l_type, F_UNLCK) << "its RELEASE found the handle";
  EXPECT_EQ(run("grep -q after! \"$M/d\" && ls \"$M\" | grep -qx d"), 0);
}

TEST_F(FuseHandOver, lets_requests_wait_meanwhile) {
  File file(path("d"), O_RDWR);
  auto mount = session_->hand_over(5s);
  ASSERT_TRUE(mount.ok()) << mount.error().what;
  std::atomic<bool> written{false};
  std::thread writer([&] {
    EXPECT_EQ(pwrite(*file, "x", 1, 0), 1);
    written = true;
  });
  adopt(std::move(*mount));
  std::this_thread::sleep_for(50ms);
  EXPECT_FALSE(written) << "nobody serves it yet";
  EXPECT_TRUE(session_->begin().ok());
  writer.join();
}

/// A request that comes in at that moment is answered by the one or by the other.
TEST_F(FuseHandOver, loses_no_request_of_two_busy_threads) {
  io_ = nullptr;
  File seen(path("d"), O_RDONLY);  // the kernel has greeted the mount then
  hand_over();
  cluster_.read_takes_us = 100;
  std::atomic<bool> over{false};
  std::atomic<int> reading{4};
  std::vector<std::thread> readers;
  for (int i = 0; i < 4; ++i) {
    readers.emplace_back([this, &over, &reading] {
      File file(path("d"), O_RDONLY);
      std::string data(1U << 20, '\0');
      while (!over) EXPECT_EQ(pread(*file, data.data(), data.size(), 0), 1 << 20);
      --reading;
    });
  }
  for (int i = 0; i < 150; ++i) {
    std::this_thread::sleep_for(5ms);
    hand_over();
  }
  EXPECT_EQ(cluster_.reads_together.most(), 2);
  over = true;
  for (int i = 0; i < 500 && reading > 0; ++i) std::this_thread::sleep_for(10ms);
  EXPECT_EQ(reading, 0) << "these wait for answers for ever";
  session_.reset();  // and they are let go
  for (auto& reader : readers) reader.join();
}

TEST_F(FuseHandOver, is_refused_when_what_was_written_cannot_be_made_durable) {
  File file(path("d"), O_RDWR);
  ASSERT_EQ(pwrite(*file, "x", 1, 0), 1);
  cluster_.fail_flushes = true;
  EXPECT_TRUE(session_->hand_over(5s).failed_with(Code::io));
  EXPECT_EQ(pwrite(*file, "y", 1, 0), 1) << "this session serves it as before";
  cluster_.fail_flushes = false;
  hand_over();
  EXPECT_EQ(pwrite(*file, "z", 1, 0), 1);
}

TEST_F(FuseHandOver, to_one_that_never_begins_leaves_the_mount_alone) {
  File file(path("d"), O_RDWR);
  auto mount = session_->hand_over(5s);
  ASSERT_TRUE(mount.ok()) << mount.error().what;
  Inherited copy;
  copy.state = mount->state;
  copy.device.reset(dup(mount->device.get()));
  adopt(std::move(copy));
  adopt(std::move(*mount));
  ASSERT_TRUE(session_->begin().ok());
  EXPECT_EQ(pwrite(*file, "x", 1, 0), 1);
}

}  // namespace
}  // namespace ukai
