// SPDX-License-Identifier: BSD-2-Clause
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "ctl/disk_usage.h"
#include "ctl/lookup.h"
#include "ukai_host.pb.h"

/// Disks as text for people; no I/O.
namespace ukai::ctl {

std::string disk_list_table(const std::vector<DiskSummary>& disks);

/// One disk with everything that could be found out about it.
struct DiskDetail {
  DiskSummary summary;
  std::optional<LeaseInfo> lease;
  NodesUp nodes;
  std::optional<pb::DiskStatusInfo> status;  ///< as the lease's holder sees it
  Missed missed;
  DiskUsage usage;
};
std::string disk_info_text(const DiskDetail& disk);

std::string disk_map_table(const std::vector<MapRow>& rows, bool colour);

// Requests are counted by size in units of this, as the original does.
inline constexpr std::uint64_t histogram_unit_bytes = 512;
std::string disk_stats_text(const std::string& name, const std::string& host,
                            const std::optional<pb::DiskStatusInfo>& status);

/// What `disk verify` found.
struct Verified {
  std::uint64_t blocks = 0;
  std::vector<pb::Difference> differences;
};
std::string disk_verify_text(const pb::DiskRecord& record, const Verified& found);

std::string scrub_text(const pb::DiskRecord& record, const pb::ScrubProgress& found);

// -- parts that text and documents share

/// "guest", "job", "admin".
std::string_view to_string(pb::LeaseRecord::Kind kind);
std::vector<std::string> member_names(const pb::DiskRecord& record);
bool is_up(const NodesUp& nodes, const std::string& node);
/// "present", "missing", or what the holder calls it ("healing").
std::string state_of(const DiskDetail& disk, const pb::Member& member);
/// Blocks that the member lacks; nullopt: cannot be told at the moment.
std::optional<std::uint64_t> lacks(const DiskDetail& disk, const pb::Member& member);

}  // namespace ukai::ctl
