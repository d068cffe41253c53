// SPDX-License-Identifier: BSD-2-Clause
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "ctl/disk_access.h"
#include "ctl/disk_view.h"
#include "ctl/heat.h"

/// Disks and their leases as JSON documents (docs/ukaictl-json.md); no I/O.
namespace ukai::ctl {

std::string disk_list_json(const std::vector<DiskSummary>& disks);
std::string disk_names_json(const std::vector<DiskName>& names);
std::string disk_info_json(const DiskDetail& disk);
std::string disk_map_json(const pb::DiskRecord& record, const std::vector<MapRow>& rows);
std::string disk_stats_json(const std::string& name, const std::string& host,
                            const std::optional<pb::DiskStatusInfo>& status,
                            const std::vector<HostHeat>& heats);
std::string scrub_json(const pb::DiskRecord& record, const pb::ScrubProgress& found);
std::string disk_verify_json(const pb::DiskRecord& record, const Verified& found);
/// `changed`: false when it was so already.
std::string location_json(std::string_view kind, const std::string& name,
                          const std::vector<std::string>& nodes, BlockRange blocks, bool changed);
std::string disk_create_json(const pb::DiskRecord& record);
std::string disk_delete_json(const std::string& name, bool deleted);
/// What the commands that change a disk's record answer.
std::string change_json(std::string_view kind, const Changed& changed);
std::string lease_json(const std::string& name, const Holder& holder);
std::string lease_release_json(const std::string& name, const Holder& holder);

}  // namespace ukai::ctl
