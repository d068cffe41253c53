// SPDX-License-Identifier: BSD-2-Clause
#pragma once

#include <string>

#include "ukai_host.pb.h"
#include "ukai_records.pb.h"

/// Snapshots and what differs between them, as text and as JSON (docs/ukaictl-json.md); no I/O.
namespace ukai::ctl {

std::string snapshot_list_text(const pb::DiskRecord& record);
std::string snapshot_list_json(const pb::DiskRecord& record);
std::string snapshot_info_text(const pb::DiskRecord& record, const pb::Snapshot& snapshot);
std::string snapshot_info_json(const pb::DiskRecord& record, const pb::Snapshot& snapshot);
std::string snapshot_create_json(const pb::TakeSnapshotsRequest& request,
                                 const pb::TakeSnapshotsReply& reply);
/// Of commands that have nothing else to tell: {"kind": kind, "name": name}.
std::string snapshot_done_json(std::string_view kind, const std::string& name);
std::string clone_json(const pb::DiskRecord& record);

/// From `from` (a snapshot) to `to` (empty: the disk as it is).
std::string diff_text(const pb::DiffProgress& found);
std::string diff_json(const pb::DiskRecord& record, const pb::DiffDiskRequest& request,
                      const pb::DiffProgress& found);

}  // namespace ukai::ctl
