// SPDX-License-Identifier: BSD-2-Clause
#include "ukai/disk_change.h"

#include <fmt/format.h>

#include <algorithm>

#include "ukai/geometry.h"
#include "ukai/snapshot_change.h"
#include "ukai/types.h"

namespace ukai {
namespace {

constexpr int meta_entries_max = 64;
constexpr std::size_t meta_bytes_max = 1024;

Result<> resize(pb::DiskRecord& record, std::uint64_t size_bytes) {
  auto geometry = make_geometry(size_bytes, record.block_size());
  if (!geometry) return geometry.error();
  if (size_bytes < record.size()) {
    return Error{Code::refused,
                 fmt::format("disk {} has {} bytes; shrinking it to {} would lose data",
                             record.name(), record.size(), size_bytes)};
  }
  record.set_size(size_bytes);
  return {};
}

Result<> change_meta(pb::DiskRecord& record, const pb::MetaChange& change) {
  for (const auto& [key, value] : change.set()) {
    if (key.empty() || key.size() > meta_bytes_max || value.size() > meta_bytes_max) {
      return Error{Code::invalid,
                   fmt::format("metadata keys and values have 1 to {} bytes", meta_bytes_max)};
    }
    (*record.mutable_meta())[key] = value;
  }
  for (const std::string& key : change.unset()) record.mutable_meta()->erase(key);
  if (record.meta_size() > meta_entries_max) {
    return Error{Code::invalid,
                 fmt::format("a disk has at most {} metadata entries", meta_entries_max)};
  }
  return {};
}

Result<> change_hosts(pb::DiskRecord& record, const pb::HostsChange& change) {
  std::vector<std::string> hosts(record.allowed_hosts().begin(), record.allowed_hosts().end());
  for (const std::string& host : change.allow()) {
    auto id = parse_id(host, "host");
    if (!id) return id.error();
    hosts.push_back(host);
  }
  std::sort(hosts.begin(), hosts.end());
  hosts.erase(std::unique(hosts.begin(), hosts.end()), hosts.end());
  for (const std::string& host : change.deny()) std::erase(hosts, host);
  record.clear_allowed_hosts();
  for (const std::string& host : hosts) record.add_allowed_hosts(host);
  return {};
}

}  // namespace

Result<pb::DiskRecord> apply_change(pb::DiskRecord record, const pb::ChangeDiskRequest& request) {
  Result<> done;
  switch (request.change_case()) {
    case pb::ChangeDiskRequest::kResize:
      done = resize(record, request.resize());
      break;
    case pb::ChangeDiskRequest::kMeta:
      done = change_meta(record, request.meta());
      break;
    case pb::ChangeDiskRequest::kHosts:
      done = change_hosts(record, request.hosts());
      break;
    case pb::ChangeDiskRequest::kRename: {
      auto name = parse_disk_name(request.rename());
      if (!name) return name.error();
      record.set_name(name->str());
      break;
    }
    case pb::ChangeDiskRequest::kDeleteSnapshot:
      return without_snapshot(std::move(record), request.delete_snapshot());
    case pb::ChangeDiskRequest::kRollback:
      return rolled_back(std::move(record), request.rollback());
    case pb::ChangeDiskRequest::kShrink:
    case pb::ChangeDiskRequest::kDropNode:  // these change the map
    case pb::ChangeDiskRequest::kAddLocations:
    case pb::ChangeDiskRequest::kRemoveLocations:
    case pb::ChangeDiskRequest::CHANGE_NOT_SET:
      return Error{Code::invalid, "the request names no change that this version knows"};
  }
  if (!done) return done.error();
  return record;
}

Result<pb::DiskRecord> shrunk(pb::DiskRecord record, std::uint64_t size_bytes) {
  auto geometry = make_geometry(size_bytes, record.block_size());
  if (!geometry) return geometry.error();
  if (size_bytes >= record.size()) {
    return Error{Code::invalid, fmt::format("disk {} has {} bytes: {} is not smaller",
                                            record.name(), record.size(), size_bytes)};
  }
  for (const pb::Snapshot& snapshot : record.snapshots()) {
    if (snapshot.size() <= size_bytes) continue;
    return Error{Code::refused,
                 fmt::format("snapshot {}@{} has {} bytes: a disk is never smaller than a snapshot "
                             "of it",
                             record.name(), snapshot.name(), snapshot.size())};
  }
  record.set_size(size_bytes);
  return record;
}

}  // namespace ukai
