// SPDX-License-Identifier: BSD-2-Clause
#pragma once

#include <fcntl.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include <cerrno>
#include <memory>
#include <optional>
#include <string>

#include "base/asio_scheduler.h"
#include "fuse/fuse_session.h"
#include "unit/fuse/fake_host_disks.h"

namespace ukai {

/// 0, or the errno of a failed call.
inline int failure_of(long result) { return result < 0 ? errno : 0; }

/// An open file that closes itself.
class File {
 public:
  File(const std::string& path, int flags) : number_(::open(path.c_str(), flags | O_CLOEXEC)) {}
  ~File() { close(); }
  File(const File&) = delete;
  File& operator=(const File&) = delete;
  int operator*() const { return number_; }
  /// The errno of close(2).
  int close() {
    const int number = std::exchange(number_, -1);
    return number < 0 ? 0 : failure_of(::close(number));
  }

 private:
  int number_;
};

/// A folder of its own under /tmp with one mount in it, of a cluster with the disk "d" of 8 MiB.
class Mounted : public ::testing::Test {
 protected:
  static constexpr std::size_t size_bytes = 8U << 20;

  void SetUp() override;
  void TearDown() override;

  /// Mounts host "h1" at `folder`/mnt.
  void mount(FuseOptions options = {});
  std::string path(const std::string& name) const { return point_ + "/" + name; }
  std::string own(const std::string& name) const { return folder_ + "/" + name; }
  /// Runs a shell command, in which $M is the mount and $T the test's folder.
  int run(const std::string& command) const;

  AsioScheduler scheduler_{2};
  Reactor reactor_{"test"};
  fake::Cluster cluster_;
  std::unique_ptr<fake::HostDisks> disks_;
  std::unique_ptr<FuseSession> session_;
  std::string folder_;
  std::string point_;
};

/// `length` bytes that differ from place to place and from seed to seed.
std::string pattern(std::size_t length, unsigned seed);

}  // namespace ukai
