// SPDX-License-Identifier: BSD-2-Clause
#include "ctl/local_mount.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/vfs.h>
#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <filesystem>
#include <thread>

#include "base/unique_fd.h"
#include "ctl/lookup.h"

namespace ukai::ctl {
namespace {

constexpr decltype(statfs::f_type) fuse_magic = 0x65735546;  // FUSE_SUPER_MAGIC
// Handles that others close meanwhile hide ours from the count: then we look again.
constexpr int looks_max = 5;
constexpr auto look_pause = std::chrono::milliseconds(200);

bool is_fuse(const std::string& folder) {
  struct statfs status {};
  return ::statfs(folder.c_str(), &status) == 0 && status.f_type == fuse_magic;
}

/// How many handles of the disk the host has; nothing when it does not answer.
std::optional<std::uint64_t> handles_at(Context& context, const pb::HostRecord& host,
                                        const std::string& disk_id) {
  pb::DiskStatusRequest request;
  request.add_disk_ids(disk_id);
  auto reply = sync_wait(context.calls().disk_status(host, request));
  if (reply.failed_with(Code::not_found)) return 0;
  if (!reply) return std::nullopt;
  for (const pb::DiskStatusInfo& disk : reply->disks()) {
    if (disk.disk_id() == disk_id) return std::uint64_t{disk.readers()} + disk.writers();
  }
  return 0;
}

bool serves(Context& context, const LocalMount& mount, const pb::DiskRecord& record) {
  const std::string path = mount.folder + "/" + record.name();
  for (int look = 0; look < looks_max && !context.environment().interrupted(); ++look) {
    if (look > 0) std::this_thread::sleep_for(look_pause);
    const auto before = handles_at(context, mount.host, record.id());
    if (!before) return false;
    const UniqueFd ours(::open(path.c_str(), O_RDONLY | O_CLOEXEC));
    if (!ours.valid()) continue;
    const auto after = handles_at(context, mount.host, record.id());
    if (after && *after > *before) return true;
  }
  return false;
}

Error not_here(const MountWanted& wanted) {
  if (!wanted.folder.empty()) {
    return {Code::unreachable,
            fmt::format("{} is not the mount of a running ukaid", wanted.folder)};
  }
  if (!wanted.host.empty()) {
    return {Code::unreachable, fmt::format("the mount of host {} is not on this machine, or not "
                                           "where its record says (--mount tells where)",
                                           wanted.host)};
  }
  return {Code::unreachable,
          "no ukaid of this cluster has its mount on this machine (--mount tells where it is)"};
}

}  // namespace

Result<std::vector<LocalMount>> find_local_mounts(Context& context, const MountWanted& wanted) {
  if (!wanted.host.empty()) {
    if (auto id = parse_id(wanted.host, "host"); !id) return id.error();
  }
  auto hosts = load_hosts(context);
  if (!hosts) return hosts.error();
  std::vector<LocalMount> found;
  bool known = wanted.host.empty();
  for (pb::HostRecord& host : *hosts) {
    if (!wanted.host.empty() && host.id() != wanted.host) continue;
    known = true;
    const std::string& folder = wanted.folder.empty() ? host.mount_point() : wanted.folder;
    if (folder.empty() || !is_fuse(folder)) continue;
    std::error_code failure;
    const auto whole = std::filesystem::canonical(folder, failure);
    if (!failure) found.push_back({std::move(host), whole.string()});
  }
  if (!known) {
    return Error{Code::not_found, fmt::format("there is no running host named '{}'", wanted.host)};
  }
  if (found.empty()) return not_here(wanted);
  return found;
}

Result<LocalMount> mount_of_disk(Context& context, const std::vector<LocalMount>& mounts,
                                 const pb::DiskRecord& record) {
  for (const LocalMount& mount : mounts) {
    if (serves(context, mount, record)) return mount;
  }
  return Error{Code::unreachable,
               fmt::format("disk {} does not show at {}: that is the mount of another host",
                           record.name(), mounts.front().folder)};
}

}  // namespace ukai::ctl
