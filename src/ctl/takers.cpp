// SPDX-License-Identifier: BSD-2-Clause
#include "ctl/takers.h"

namespace ukai::ctl {
namespace {

constexpr std::uint64_t full_percent = 90;

}  // namespace

bool is_draining(const NodeInfo& node) { return node.record.admin_state() == "draining"; }

bool is_nearly_full(const NodeInfo& node, std::uint64_t more_bytes) {
  const std::uint64_t capacity = node.record.capacity_bytes();
  if (!node.alive || capacity == 0) return false;
  const std::uint64_t free = node.alive->free_bytes();
  return free <= more_bytes || (free - more_bytes) * 100 <= capacity * (100 - full_percent);
}

const NodeInfo* roomiest(const std::vector<NodeInfo>& nodes, std::uint64_t bytes,
                         const std::function<bool(const NodeInfo&)>& fits) {
  const NodeInfo* best = nullptr;
  for (const NodeInfo& node : nodes) {
    if (!node.alive || is_draining(node) || is_nearly_full(node, bytes) || !fits(node)) continue;
    if (best == nullptr || node.alive->free_bytes() > best->alive->free_bytes()) best = &node;
  }
  return best;
}

}  // namespace ukai::ctl
