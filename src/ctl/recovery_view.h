// SPDX-License-Identifier: BSD-2-Clause
#pragma once

#include <string>
#include <utility>
#include <vector>

#include "ukai/disk_change.h"

/// What was done on the day when replicas or nodes were lost, as text and JSON; no I/O.
namespace ukai::ctl {

std::string recover_text(const Recovery& recovery, const NodeId& from, const std::string& loss);
std::string recover_json(const Recovery& recovery, const NodeId& from);

/// Blocks of a disk that only a lost node had.
struct DiskLoss {
  std::string disk;
  std::vector<BlockRange> blocks;  ///< empty: it is taken off without a loss
};
/// "0-3,7", shortened.
std::string blocks_text(const std::vector<BlockRange>& blocks);
std::string remove_text(const std::string& node, const std::vector<DiskLoss>& disks);
std::string remove_json(const std::string& node, const std::vector<DiskLoss>& disks);

}  // namespace ukai::ctl
