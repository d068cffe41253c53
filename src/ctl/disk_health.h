// SPDX-License-Identifier: BSD-2-Clause
#pragma once

#include <map>
#include <string>
#include <string_view>
#include <vector>

#include "ukai_records.pb.h"

namespace ukai::ctl {

enum class Health {
  healthy,      ///< every replica is in sync and its node runs
  degraded,     ///< every block can be served, some by fewer replicas than the operator asked for
  unavailable,  ///< some block has no replica that could serve it
  corrupt,      ///< the disk's metadata does not parse
};
std::string_view to_string(Health health);

struct DiskHealth {
  Health health = Health::healthy;
  std::vector<std::string> reasons;  ///< one clause each, for people; empty when healthy
};

/// Which nodes run, by id; those that are not registered are absent.
using NodesUp = std::map<std::string, bool>;

/// True when the record alone shows that some replica may not serve; only then need the map be
/// looked at to tell degraded from unavailable.
bool needs_map(const pb::DiskRecord& record, const NodesUp& nodes);

/// `sets`: all replica sets of the disk (of its first segment is enough while !needs_map()).
DiskHealth judge(const pb::DiskRecord& record, const NodesUp& nodes,
                 const std::vector<pb::ReplicaSet>& sets);

}  // namespace ukai::ctl
