// SPDX-License-Identifier: BSD-2-Clause
#include "fuse/mount_point.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <sstream>
#include <system_error>

#include "base/log.h"

namespace ukai::fuse {
namespace {

constexpr int stale_mounts_max = 16;  // stacked by daemons killed one after the other

Error bad(const std::string& path, const std::string& why) {
  return Error{Code::invalid, fmt::format("mount point {} {}", path, why)};
}

/// mountinfo writes blanks, tabs, line ends and backslashes as \ooo.
std::string unescaped(const std::string& text) {
  std::string out;
  for (std::size_t i = 0; i < text.size(); ++i) {
    if (text[i] == '\\' && i + 3 < text.size()) {
      out += static_cast<char>((text[i + 1] - '0') * 64 + (text[i + 2] - '0') * 8 +
                               (text[i + 3] - '0'));
      i += 3;
    } else {
      out += text[i];
    }
  }
  return out;
}

std::string mountinfo_now() {
  std::ifstream file("/proc/self/mountinfo");
  std::stringstream text;
  text << file.rdbuf();
  return text.str();
}

/// Absolute, without touching the last component: that one may be a dead mount.
Result<std::string> absolute(const std::string& path) {
  std::filesystem::path given(path);
  if (given.has_relative_path() && given.filename().empty()) given = given.parent_path();
  std::error_code failure;
  const auto whole = std::filesystem::absolute(given, failure);
  if (failure) return bad(path, failure.message());
  if (!whole.has_relative_path()) return bad(path, "is the root folder");
  const auto parent = std::filesystem::canonical(whole.parent_path(), failure);
  if (failure) return bad(path, "does not exist");
  return (parent / whole.filename()).string();
}

/// Detaches our own dead mounts at `path`.
Result<> clear_stale(const std::string& path) {
  for (int i = 0; i < stale_mounts_max; ++i) {
    const bool dead = is_dead_mount(path);
    const MountEntry mount = find_mount(mountinfo_now(), path);
    if (mount.type.empty() && !dead) return Unit{};
    const std::string what = fmt::format("'{}' of type {}", mount.source, mount.type);
    if (!dead) {
      return Error{Code::busy,
                   fmt::format("mount point {} is in use: {} is mounted there", path, what)};
    }
    const bool ours = mount.type.starts_with("fuse.") && mount.source == mount_source;
    if (!ours) return bad(path, fmt::format("is a dead mount of another kind: {}", what));
    log::warn("event=stale_mount_removed path={} type={}", path, mount.type);
    auto away = take_mount_away(path);
    if (!away) return away;
  }
  return bad(path, "has too many dead mounts");
}

Result<> check_folder(const std::string& path, bool allow_nonempty) {
  struct stat found {};
  if (stat(path.c_str(), &found) != 0) {
    return bad(path, errno == ENOENT ? "does not exist"
                                     : fmt::format("cannot be used: {}", std::strerror(errno)));
  }
  if (!S_ISDIR(found.st_mode)) return bad(path, "is not a folder");
  std::error_code failure;
  const bool empty = std::filesystem::is_empty(path, failure);
  if (failure) return bad(path, fmt::format("cannot be read: {}", failure.message()));
  if (!empty && !allow_nonempty) {
    return bad(path, "is not empty (fuse.allow_nonempty = true mounts over it)");
  }
  return Unit{};
}

}  // namespace

MountEntry find_mount(const std::string& mountinfo, const std::string& path) {
  MountEntry found;
  std::istringstream lines(mountinfo);
  for (std::string line; std::getline(lines, line);) {
    // 36 35 98:0 /root /mount/point rw,noatime master:1 - type source options
    std::istringstream words(line);
    std::string word;
    std::string point;
    for (int i = 0; i < 5; ++i) words >> point;
    while (words >> word && word != "-") {
    }
    MountEntry entry;
    words >> entry.type >> entry.source;
    if (unescaped(point) == path) found = std::move(entry);  // the last one is on top
  }
  return found;
}

Result<std::string> prepare_mount_point(const std::string& path, bool allow_nonempty) {
  auto whole = absolute(path);
  if (!whole) return whole;
  auto cleared = clear_stale(*whole);
  if (!cleared) return cleared.error();
  auto fit = check_folder(*whole, allow_nonempty);
  if (!fit) return fit.error();
  return whole;
}

Result<int> mount_device(const std::string& path, const FuseOptions& options) {
  const int device = ::open("/dev/fuse", O_RDWR | O_CLOEXEC);
  if (device < 0) {
    return Error{Code::invalid,
                 fmt::format("/dev/fuse cannot be opened: {} (is the fuse module loaded?)",
                             std::strerror(errno))};
  }
  std::string text =
      fmt::format("fd={},rootmode=40000,user_id={},group_id={}", device, geteuid(), getegid());
  if (options.allow_other) text += ",allow_other";
  if (options.default_permissions) text += ",default_permissions";
  const std::string type = "fuse." + options.subtype;
  if (mount(mount_source, path.c_str(), type.c_str(), MS_NOSUID | MS_NODEV, text.c_str()) == 0) {
    return device;
  }
  const int reason = errno;
  ::close(device);
  return bad(path, fmt::format("cannot be mounted on: {}{}", std::strerror(reason),
                               reason == EPERM ? " (ukaid has to run as root)" : ""));
}

bool is_dead_mount(const std::string& path) {
  struct stat found {};
  return stat(path.c_str(), &found) != 0 && errno == ENOTCONN;
}

Result<> take_mount_away(const std::string& path) {
  if (umount2(path.c_str(), UMOUNT_NOFOLLOW) == 0) return Unit{};
  if (errno == EBUSY && umount2(path.c_str(), UMOUNT_NOFOLLOW | MNT_DETACH) == 0) return Unit{};
  if (errno == EINVAL || errno == ENOENT) return Unit{};  // nothing is mounted there any more
  return Error{Code::io, fmt::format("{} cannot be unmounted: {}", path, std::strerror(errno))};
}

}  // namespace ukai::fuse
