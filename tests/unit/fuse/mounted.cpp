// SPDX-License-Identifier: BSD-2-Clause
#include "unit/fuse/mounted.h"

#include <sys/stat.h>

#include <cstdlib>
#include <cstring>
#include <filesystem>
#include <random>

namespace ukai {

void Mounted::SetUp() {
  std::string name = "/tmp/ukai_fuse_test.XXXXXX";
  ASSERT_NE(mkdtemp(name.data()), nullptr);
  ASSERT_EQ(chmod(name.c_str(), 0755), 0);  // other users look at the mount as well
  folder_ = name;
  point_ = folder_ + "/mnt";
  ASSERT_EQ(mkdir(point_.c_str(), 0755), 0);
  cluster_.create("d", size_bytes);
  disks_ = std::make_unique<fake::HostDisks>(cluster_, "h1", &scheduler_);
}

void Mounted::TearDown() {
  session_.reset();
  std::error_code ignored;
  std::filesystem::remove_all(folder_, ignored);
}

void Mounted::mount(FuseOptions options) {
  options.mount_point = point_;
  auto session = FuseSession::mount(options, *disks_, reactor_, nullptr);
  ASSERT_TRUE(session.ok()) << session.error().what;
  session_ = std::move(*session);
}

int Mounted::run(const std::string& command) const {
  const std::string script =
      "M='" + point_ + "'; T='" + folder_ + "'; cd \"$T\" && { " + command + "; }";
  return std::system(script.c_str());  // NOLINT(cert-env33-c): the command is the test's own
}

std::string pattern(std::size_t length, unsigned seed) {
  std::mt19937_64 random(seed);
  std::string out(length, '\0');
  for (std::size_t at = 0; at < length; at += sizeof(std::uint64_t)) {
    const std::uint64_t value = random();
    std::memcpy(out.data() + at, &value, std::min(sizeof value, length - at));
  }
  return out;
}

}  // namespace ukai
