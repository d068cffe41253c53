// SPDX-License-Identifier: BSD-2-Clause
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "ctl/context.h"
#include "ctl/disk_health.h"
#include "ctl/map_rows.h"

namespace ukai::ctl {

/// Reads of the metadata that several commands need, with errors that name what was asked for.

/// invalid: `text` is no disk's name; not_found: there is no such disk.
Result<DiskId> find_disk(Context& context, const std::string& text);
/// The disk's record; corrupt: it does not parse (the message names the disk).
Result<DiskEntry> load_disk(Context& context, const std::string& text);

// not_found: there is no UKAI at all behind this address.
Result<std::vector<NodeInfo>> load_nodes(Context& context);
Result<std::vector<pb::HostRecord>> load_hosts(Context& context);
Result<std::vector<DiskName>> load_names(Context& context);

NodesUp nodes_up(const std::vector<NodeInfo>& nodes);

/// The segments that hold `wanted`, in order, all asked for at once.
Result<std::vector<pb::MapSegment>> load_map(Context& context, const pb::DiskRecord& record,
                                             BlockRange wanted);
BlockRange all_blocks(const pb::DiskRecord& record);

/// A disk as lists show it.
struct DiskSummary {
  std::string name;
  pb::DiskRecord record;       ///< empty when corrupt
  std::uint32_t replicas = 0;  ///< of a block (the smallest number in the disk's first segment)
  bool striped = false;        ///< blocks have different replica sets
  std::string holder;          ///< empty: nobody holds its lease
  DiskHealth health;
};
/// One disk's; its holder is left to the caller. Looks at the whole map.
Result<DiskSummary> summarise(Context& context, const pb::DiskRecord& record, const NodesUp& nodes);
/// All disks by name, with as few waits as the number of steps (not of disks).
Result<std::vector<DiskSummary>> load_summaries(Context& context,
                                                const std::vector<NodeInfo>& nodes);

}  // namespace ukai::ctl
