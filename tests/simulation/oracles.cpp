// SPDX-License-Identifier: BSD-2-Clause
//
// What a run asks of the stores and the metadata, behind the system's back (faults.md, "Oracles").
#include <fmt/format.h>

#include <algorithm>

#include "simulation/run.h"
#include "ukai/history.h"

namespace ukai::sim {

bool Run::all_present() {
  const auto entry = wait(world_.hosts[host_]->catalog->load_disk(disk_));
  if (!entry || !entry->ok()) return false;
  const auto& members = (*entry)->record.members();
  return std::none_of(members.begin(), members.end(),
                      [](const pb::Member& member) { return member.missing(); });
}

/// As `ukaictl status` judges: all members present, and their nodes up.
bool Run::says_healthy() {
  for (const auto& node : world_.nodes) {
    if (!node->process) return false;
  }
  return guest_.is_open() && all_present() && quiet();
}

std::vector<Location> Run::locations_of(BlockIndex block) const {
  return MapSegmentView(map_.front()).locations(block);
}

/// Empty: they are equal. The guest has nothing under way.
std::string Run::unequal_replicas() {
  const auto entry = wait(host().catalog->load_disk(disk_));
  if (!entry || !entry->ok()) return "";
  record_ = (*entry)->record;
  for (const Generation at : kept_generations(record_)) {
    for (std::uint64_t block = 0; block < blocks; ++block) {
      std::optional<std::string> first;
      for (const Location& location : locations_of(BlockIndex{block})) {
        if (location.status != SyncStatus::in_sync) continue;
        const SimNode& node = *world_.find(location.node.str());
        const std::string bytes = seen_content(node, BlockIndex{block}, at);
        if (!first) first = bytes;
        if (*first == bytes) continue;
        const auto where = std::mismatch(first->begin(), first->end(), bytes.begin()).first;
        return fmt::format("block {} at generation {} differs on {} from byte {} on", block,
                           raw(at), location.node.str(), where - first->begin());
      }
    }
  }
  return "";
}

/// The operator has just taken it off the node, which has not deleted it yet. Orders that cannot be
/// read now may name any.
bool Run::may_be_ordered_away(const SimNode& node, BlockIndex block) {
  const auto orders = wait(host().catalog->trash_of(node.id));
  if (!orders || !orders->ok()) return true;
  for (const Catalog::Trash& order : **orders) {
    const auto& spans = order.record.blocks();
    const bool names = std::any_of(spans.begin(), spans.end(), [&](const pb::TrashBlocks& span) {
      return span.begin() <= raw(block) && raw(block) < span.end();
    });
    if (spans.empty() || names) return true;
  }
  return false;
}

std::string Run::stray_blocks() {
  for (const auto& node : world_.nodes) {
    for (const BlockKey& key : node->store.blocks(disk_)) {
      if (raw(key.block) >= blocks) continue;  // of a disk that has grown: not in our map
      const auto locations = locations_of(key.block);
      const bool known =
          std::any_of(locations.begin(), locations.end(),
                      [&](const Location& location) { return location.node == node->id; });
      if (!known && plan_.moves && may_be_ordered_away(*node, key.block)) continue;
      if (!known) {
        return fmt::format("block {} is on {}, where nobody asked for it", raw(key.block),
                           node->id.str());
      }
    }
  }
  return "";
}

}  // namespace ukai::sim
