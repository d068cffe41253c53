// SPDX-License-Identifier: BSD-2-Clause
#pragma once

#include <cstdint>
#include <cstdio>
#include <string>

#include "ukai/types.h"

namespace ukai {

/// Paths that are nobody's business outside this module; the others are in Catalog.
inline constexpr const char* root_path = "/ukai";

inline std::string cluster_path() { return "/ukai/cluster"; }
inline std::string events_path() { return "/ukai/events"; }
inline std::string disks_path() { return "/ukai/disks"; }
inline std::string active_jobs_path() { return "/ukai/jobs"; }
inline std::string jobs_path(const std::string& disk_path) { return disk_path + "/jobs"; }
inline std::string hosts_path() { return "/ukai/hosts"; }
inline std::string name_path(const std::string& name) { return "/ukai/names/" + name; }
inline std::string node_path(const NodeId& node) { return "/ukai/nodes/" + node.str(); }
inline std::string host_path(const HostId& host) { return hosts_path() + "/" + host.str(); }

/// "…/map/0000002a": hexadecimal and of one length, so that they sort by number.
inline std::string segment_path(const std::string& disk_path, std::uint32_t segment) {
  char digits[9];
  std::snprintf(digits, sizeof digits, "%08x", segment);
  return disk_path + "/map/" + digits;
}

}  // namespace ukai
