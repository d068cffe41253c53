// SPDX-License-Identifier: BSD-2-Clause
// Locks of fcntl(2), through the kernel: as QEMU takes them (F_OFD_SETLK), and as others do.
#include <fcntl.h>
#include <sys/wait.h>

#include <chrono>
#include <thread>

#include "unit/fuse/mounted.h"

namespace ukai {
namespace {

using namespace std::chrono_literals;

struct flock bytes(short type, off_t begin, off_t length) {
  struct flock lock {};
  lock.l_type = type;
  lock.l_whence = SEEK_SET;
  lock.l_start = begin;
  lock.l_len = length;
  return lock;
}

class FuseLocks : public Mounted {
 protected:
  void SetUp() override {
    Mounted::SetUp();
    mount();
  }
  static int set(int file, short type, off_t begin, off_t length = 1) {
    struct flock lock = bytes(type, begin, length);
    return failure_of(fcntl(file, F_OFD_SETLK, &lock));
  }
  /// The kind of somebody else's lock that stands in the way of an exclusive one.
  static short others(int file, off_t begin) {
    struct flock lock = bytes(F_WRLCK, begin, 1);
    EXPECT_EQ(fcntl(file, F_OFD_GETLK, &lock), 0);
    return lock.l_type;
  }
  /// RELEASE comes a moment after close(2).
  template <class Condition>
  static bool soon(Condition condition) {
    for (int i = 0; i < 500 && !condition(); ++i) std::this_thread::sleep_for(10ms);
    return condition();
  }
};

// A second QEMU asks whether somebody else holds 100, 101 or 201 before it takes them.
TEST_F(FuseLocks, show_one_qemu_to_another_on_the_same_host) {
  File first(path("d"), O_RDWR);
  File second(path("d"), O_RDWR);
  for (const off_t byte : {100, 101, 201}) EXPECT_EQ(set(*first, F_RDLCK, byte), 0);
  EXPECT_EQ(others(*first, 201), F_UNLCK) << "its own";
  EXPECT_EQ(set(*second, F_RDLCK, 101), 0) << "a probe takes it shared, and then looks";
  EXPECT_EQ(others(*second, 201), F_RDLCK);
  EXPECT_EQ(others(*second, 101), F_RDLCK);
  EXPECT_EQ(others(*second, 203), F_UNLCK);
  EXPECT_EQ(set(*second, F_WRLCK, 201), EAGAIN);
  EXPECT_EQ(set(*first, F_UNLCK, 100, 102), 0);
  EXPECT_EQ(others(*second, 201), F_UNLCK);
  EXPECT_EQ(set(*second, F_WRLCK, 201), 0);
}

TEST_F(FuseLocks, end_with_the_last_descriptor_of_their_file) {
  File first(path("d"), O_RDWR);
  File second(path("d"), O_RDWR);
  ASSERT_EQ(set(*first, F_RDLCK, 101), 0);
  const int copy = dup(*first);
  first.close();
  std::this_thread::sleep_for(50ms);
  EXPECT_EQ(others(*second, 101), F_RDLCK) << "another descriptor is open";
  close(copy);
  EXPECT_TRUE(soon([&] { return others(*second, 101) == F_UNLCK; }));
}

TEST_F(FuseLocks, end_with_their_process) {
  const pid_t child = fork();
  if (child == 0) {
    const int file = open(path("d").c_str(), O_RDWR);
    struct flock lock = bytes(F_WRLCK, 0, 0);
    _exit(fcntl(file, F_OFD_SETLK, &lock) == 0 ? 0 : 1);
  }
  int status = -1;
  waitpid(child, &status, 0);
  EXPECT_EQ(status, 0);
  File file(path("d"), O_RDWR);
  EXPECT_TRUE(soon([&] { return set(*file, F_WRLCK, 0) == 0; }));
}

TEST_F(FuseLocks, of_a_process_end_with_any_of_its_descriptors) {
  File mine(path("d"), O_RDWR);
  struct flock lock = bytes(F_WRLCK, 5, 10);
  ASSERT_EQ(fcntl(*mine, F_SETLK, &lock), 0);
  File other(path("d"), O_RDWR);
  EXPECT_EQ(fcntl(*other, F_SETLK, &lock), 0) << "a process is never in its own way";
  EXPECT_EQ(others(*other, 5), F_WRLCK) << "for an open file's lock it is";
  other.close();
  File third(path("d"), O_RDWR);
  EXPECT_TRUE(soon([&] { return others(*third, 5) == F_UNLCK; }));
}

TEST_F(FuseLocks, are_refused_and_not_waited_for) {
  File first(path("d"), O_RDWR);
  File second(path("d"), O_RDWR);
  ASSERT_EQ(set(*first, F_WRLCK, 0), 0);
  struct flock lock = bytes(F_WRLCK, 0, 1);
  EXPECT_EQ(failure_of(fcntl(*second, F_OFD_SETLKW, &lock)), EAGAIN);
}

TEST_F(FuseLocks, tell_the_disk_when_qemu_may_write) {
  File file(path("d"), O_RDWR);
  File reader(path("d"), O_RDONLY);
  EXPECT_EQ(set(*file, F_RDLCK, 100), 0);
  EXPECT_EQ(cluster_.told_write_locks(), std::vector<bool>{});
  EXPECT_EQ(set(*file, F_RDLCK, 101), 0);
  EXPECT_EQ(set(*file, F_RDLCK, 101), 0);
  EXPECT_EQ(set(*file, F_RDLCK, 201), 0);
  EXPECT_EQ(cluster_.told_write_locks(), (std::vector<bool>{true}));
  EXPECT_EQ(set(*file, F_UNLCK, 100), 0);
  EXPECT_EQ(set(*file, F_UNLCK, 101), 0);
  EXPECT_EQ(set(*file, F_UNLCK, 101), 0);
  EXPECT_EQ(cluster_.told_write_locks(), (std::vector<bool>{true, false}));
  EXPECT_EQ(set(*file, F_RDLCK, 0, 0), 0) << "the whole file, as others may do";
  EXPECT_EQ(cluster_.told_write_locks(), (std::vector<bool>{true, false, true}));
}

}  // namespace
}  // namespace ukai
