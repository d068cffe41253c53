// SPDX-License-Identifier: BSD-2-Clause
#pragma once

#include <string>
#include <vector>

#include "ctl/commands.h"
#include "ukai/block_map.h"
#include "ukai/catalog.h"

namespace ukai::ctl {

/// What `disk create` writes.
struct CreatePlan {
  pb::DiskRecord record;  ///< without creation time
  std::vector<pb::MapSegment> segments;
  std::vector<NodeId> nodes;  ///< all that the operator named
};

/// Checks what was typed and lays the disk out; no I/O. Errors: invalid.
Result<CreatePlan> plan_create(const DiskCreateOptions& options,
                               std::uint64_t default_block_size_bytes);

/// not_found: a node of the plan is not registered; refused: one does not run or is
/// being drained (unless `force`).
Result<> check_nodes(const CreatePlan& plan, const std::vector<NodeInfo>& nodes, bool force);

/// Makes the disk as `options` say. Errors: as those two, exists.
Result<pb::DiskRecord> make_disk(Context& context, const DiskCreateOptions& options);

/// "a,b" and "c" to {a, b, c}. invalid: an element is empty.
Result<std::vector<std::string>> split_list(const std::vector<std::string>& typed,
                                            std::string_view what);

/// Each "K=V" sets, each "K=" removes. invalid: no '=' or no key.
Result<pb::MetaChange> parse_meta(const std::vector<std::string>& typed);

}  // namespace ukai::ctl
