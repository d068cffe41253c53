// SPDX-License-Identifier: BSD-2-Clause
#include "daemon/state_folder.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/file.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <utility>

namespace ukai {
namespace {

Error bad(const std::string& path, const std::string& why) {
  return Error{Code::invalid, fmt::format("state folder {}: {}", path, why)};
}

/// Writes all and makes it durable. False: errno says why.
bool write_durably(const std::string& path, const std::string& text) {
  const int file = ::open(path.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
  if (file < 0) return false;
  const bool good = ::write(file, text.data(), text.size()) == static_cast<ssize_t>(text.size()) &&
                    ::fsync(file) == 0;
  const int reason = errno;
  ::close(file);
  errno = reason;
  return good;
}

bool sync_folder(const std::string& path) {
  const int folder = ::open(path.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  if (folder < 0) return false;
  const bool good = ::fsync(folder) == 0;
  ::close(folder);
  return good;
}

}  // namespace

Result<StateFolder> StateFolder::open(const std::string& path) {
  std::error_code failure;
  std::filesystem::create_directories(path, failure);
  if (failure) return bad(path, failure.message());
  const std::string lock_path = path + "/lock";
  const int lock = ::open(lock_path.c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0600);
  if (lock < 0) return bad(path, std::strerror(errno));
  StateFolder folder(path, lock);
  if (::flock(lock, LOCK_EX | LOCK_NB) != 0) {
    std::string holder;
    std::ifstream(lock_path) >> holder;
    return Error{Code::busy, fmt::format("state folder {} is in use by another ukaid (process {})",
                                         path, holder.empty() ? "unknown" : holder)};
  }
  const std::string own = fmt::format("{}\n", ::getpid());
  if (::ftruncate(lock, 0) != 0 ||
      ::pwrite(lock, own.data(), own.size(), 0) != static_cast<ssize_t>(own.size())) {
    return bad(path, std::strerror(errno));
  }
  std::ifstream(path + "/incarnation") >> folder.last_incarnation_;
  return folder;
}

StateFolder::StateFolder(StateFolder&& other) noexcept
    : path_(std::move(other.path_)),
      lock_(std::exchange(other.lock_, -1)),
      last_incarnation_(other.last_incarnation_) {}

StateFolder::~StateFolder() {
  if (lock_ >= 0) ::close(lock_);
}

Result<> StateFolder::remember(std::uint64_t incarnation) {
  const std::string path = path_ + "/incarnation";
  if (!write_durably(path + ".new", fmt::format("{}\n", incarnation)) ||
      std::rename((path + ".new").c_str(), path.c_str()) != 0 || !sync_folder(path_)) {
    return bad(path_, std::strerror(errno));
  }
  last_incarnation_ = incarnation;
  return Unit{};
}

}  // namespace ukai
