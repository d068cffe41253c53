// SPDX-License-Identifier: BSD-2-Clause
#include "ctl/move_plan.h"

#include <fmt/format.h>

#include <algorithm>
#include <set>

#include "ctl/takers.h"
#include "ukai/geometry.h"
#include "ukai/site_path.h"

namespace ukai::ctl {
namespace {

constexpr std::size_t pieces_max = 4096;  // of one job: its record stays far below a znode's limit

Result<> check_usable(const NodeInfo& node) {
  const std::string& id = node.record.id();
  if (!node.alive) {
    return Error{Code::refused, fmt::format("node {} is down; nothing was changed", id)};
  }
  if (is_draining(node)) {
    return Error{Code::refused, fmt::format("node {} is being drained; nothing was changed", id)};
  }
  return {};
}

Target target_of(const NodeInfo& node) {
  return {NodeId(node.record.id()), std::max<std::uint64_t>(node.alive->free_bytes(), 1)};
}

/// The nodes that "site=…" or "label=…" names.
Result<Targets> select(const std::string& selector, const std::vector<NodeInfo>& nodes) {
  const auto equals = selector.find('=');
  const std::string key = selector.substr(0, equals);
  const std::string value = selector.substr(equals + 1);
  if (value.empty() || (key != "site" && key != "label")) {
    return Error{Code::invalid,
                 fmt::format("'{}' is neither a node nor site=… nor label=…", selector)};
  }
  Targets out;
  out.selected = true;
  bool any = false;
  for (const NodeInfo& node : nodes) {
    const auto& labels = node.record.labels();
    const bool matches = key == "site"
                             ? lies_in(node.record.site(), value)
                             : std::find(labels.begin(), labels.end(), value) != labels.end();
    any = any || matches;
    if (matches && check_usable(node).ok()) out.nodes.push_back(target_of(node));
  }
  if (!any) return Error{Code::not_found, fmt::format("no node matches {}", selector)};
  if (out.nodes.empty()) {
    return Error{Code::refused, fmt::format("all nodes that match {} are down or being drained; "
                                            "nothing was changed",
                                            selector)};
  }
  return out;
}

bool has(const std::vector<Location>& locations, const NodeId& node) {
  return std::any_of(locations.begin(), locations.end(),
                     [&](const Location& location) { return location.node == node; });
}

bool has_in_sync(const std::vector<Location>& locations, const NodeId& node) {
  return std::find(locations.begin(), locations.end(), Location{node, SyncStatus::in_sync}) !=
         locations.end();
}

/// Is one of the moves that of this block to `to`?
bool brings(const std::vector<pb::JobMove>& moves, BlockIndex block, const NodeId& to) {
  return std::any_of(moves.begin(), moves.end(), [&](const pb::JobMove& move) {
    return move.to() == to.str() && move.begin() <= raw(block) && raw(block) < move.end();
  });
}

/// The map of a whole disk, block by block.
class MapReader {
 public:
  explicit MapReader(const std::vector<pb::MapSegment>& segments) {
    for (const pb::MapSegment& segment : segments) views_.emplace_back(segment);
  }
  const std::vector<Location>& at(BlockIndex block) const {
    return views_[segment_of(block)].locations(block);
  }

 private:
  std::vector<MapSegmentView> views_;
};

/// Collects moves; one that goes on where the last one ended is the same one.
class MoveList {
 public:
  MoveList(MovePlan& plan, const MoveWish& wish) : plan_(plan), wish_(wish) {}

  /// `block` goes to `to`; those that were skipped before do not concern the way it takes.
  /// `copied`: else it is there already, and only leaves where it is now.
  void add(BlockIndex block, const NodeId& to, bool copied) {
    if (open_ && plan_.moves.back().move.to() == to.str()) {
      plan_.moves.back().move.set_end(raw(block) + 1);
    } else {
      PlannedMove planned;
      planned.move.set_from(wish_.from.str());
      planned.move.set_to(to.str());
      planned.move.set_begin(raw(block));
      planned.move.set_end(raw(block) + 1);
      plan_.moves.push_back(std::move(planned));
    }
    open_ = true;
    if (!copied) return;
    plan_.moves.back().blocks += 1;
    plan_.moves.back().bytes_max += plan_.disk.block_size();
  }
  /// A block that must not be within a move.
  void close() { open_ = false; }

 private:
  MovePlan& plan_;
  const MoveWish& wish_;
  bool open_ = false;
};

/// All blocks to all of the targets, those aside that are in sync there already.
void give_to_all(const MapReader& map, const MoveWish& wish, MovePlan& plan) {
  for (const Target& target : wish.to.nodes) {
    MoveList list(plan, wish);
    for (BlockIndex block = wish.blocks.begin; block < wish.blocks.end; block = next(block)) {
      const auto& locations = map.at(block);
      if (!wish.from.empty() && !has(locations, wish.from)) continue;
      if (brings(wish.under_way, block, target.node)) {
        list.close();
        continue;
      }
      const bool there = has_in_sync(locations, target.node);
      // What lies on both only leaves `from`.
      if (wish.from.empty() && there) continue;
      list.add(block, target.node, !there);
    }
  }
}

/// Shares blocks among targets by their weights.
class Shares {
 public:
  Shares(const Targets& targets, std::size_t blocks) : targets_(targets) {
    double weights = 0;
    for (const Target& target : targets.nodes) weights += static_cast<double>(target.weight);
    for (const Target& target : targets.nodes) {
      const double share = static_cast<double>(target.weight) / weights;
      left_.push_back(static_cast<std::uint64_t>(share * static_cast<double>(blocks) + 0.999));
    }
  }

  /// Where the block goes: to a location that waits for it, else to the target that had the last
  /// one as long as that has any of its share left, so that stretches are long, else to whoever has
  /// most left. Nobody: it is in sync on all of them.
  std::optional<NodeId> take(const std::vector<Location>& locations) {
    std::optional<std::size_t> most;
    for (std::size_t i = 0; i < left_.size(); ++i) {
      const NodeId& node = targets_.nodes[i].node;
      if (has_in_sync(locations, node)) continue;
      if (has(locations, node)) return chosen(i);
      if (!most || left_[i] > left_[*most]) most = i;
    }
    if (!most) return std::nullopt;
    const bool goes_on = left_[last_] > 0 && !has(locations, targets_.nodes[last_].node);
    return chosen(goes_on ? last_ : *most);
  }

 private:
  NodeId chosen(std::size_t i) {
    last_ = i;
    if (left_[i] > 0) --left_[i];
    return targets_.nodes[i].node;
  }

  const Targets& targets_;
  std::vector<std::uint64_t> left_;  ///< of each share
  std::size_t last_ = 0;
};

/// Has this shared block nothing to wish for?
bool is_served(const std::vector<Location>& locations, BlockIndex block, const MoveWish& wish) {
  return std::any_of(wish.to.nodes.begin(), wish.to.nodes.end(), [&](const Target& target) {
    return brings(wish.under_way, block, target.node) ||
           (wish.from.empty() && has_in_sync(locations, target.node));
  });
}

/// The target that the block has come to by a job that did not end well.
std::optional<NodeId> left_at(const std::vector<Location>& locations, BlockIndex block,
                              const MoveWish& wish) {
  for (const Target& target : wish.to.nodes) {
    if (has_in_sync(locations, target.node) && brings(wish.left_lying, block, target.node)) {
      return target.node;
    }
  }
  return std::nullopt;
}

Result<> share_out(const MapReader& map, const MoveWish& wish, MovePlan& plan) {
  const auto concerns = [&](BlockIndex block) {
    return wish.from.empty() || has(map.at(block), wish.from);
  };
  std::size_t wanted = 0;
  for (BlockIndex block = wish.blocks.begin; block < wish.blocks.end; block = next(block)) {
    if (concerns(block) && !is_served(map.at(block), block, wish)) ++wanted;
  }
  Shares shares(wish.to, wanted);
  MoveList list(plan, wish);
  for (BlockIndex block = wish.blocks.begin; block < wish.blocks.end; block = next(block)) {
    if (!concerns(block)) continue;
    const auto& locations = map.at(block);
    if (is_served(locations, block, wish)) {
      list.close();
      continue;
    }
    const auto came_to = wish.from.empty() ? std::nullopt : left_at(locations, block, wish);
    const auto chosen = came_to ? came_to : shares.take(locations);
    if (!chosen) {
      return Error{Code::refused,
                   fmt::format("disk {}: block {} lies on all of the targets already; name another "
                               "one",
                               plan.disk.name(), raw(block))};
    }
    list.add(block, *chosen, !came_to);
  }
  return {};
}

}  // namespace

Result<Targets> resolve_targets(const std::vector<std::string>& typed,
                                const std::vector<NodeInfo>& nodes) {
  if (typed.size() == 1 && typed.front().find('=') != std::string::npos) {
    return select(typed.front(), nodes);
  }
  Targets out;
  std::set<std::string> seen;
  for (const std::string& id : typed) {
    if (id.find('=') != std::string::npos) {
      return Error{Code::invalid, fmt::format("'{}' cannot be mixed with other targets", id)};
    }
    if (!seen.insert(id).second) {
      return Error{Code::invalid, fmt::format("node {} is named twice", id)};
    }
    const auto node = std::find_if(nodes.begin(), nodes.end(),
                                   [&](const NodeInfo& info) { return info.record.id() == id; });
    if (node == nodes.end()) {
      return Error{Code::not_found, fmt::format("there is no node named '{}'", id)};
    }
    auto usable = check_usable(*node);
    if (!usable) return usable.error();
    out.nodes.push_back(target_of(*node));
  }
  return out;
}

Result<MovePlan> plan_moves(const pb::DiskRecord& disk, const std::vector<pb::MapSegment>& segments,
                            const MoveWish& wish) {
  MovePlan plan;
  plan.disk = disk;
  const MapReader map(segments);
  if (wish.share) {
    auto shared = share_out(map, wish, plan);
    if (!shared) return shared.error();
  } else {
    give_to_all(map, wish, plan);
  }
  if (plan.moves.size() > pieces_max) {
    return Error{
        Code::invalid,
        fmt::format("disk {}: it would take {} moves, the most at once is {}; use --blocks",
                    disk.name(), plan.moves.size(), pieces_max)};
  }
  return plan;
}

bool serves(const pb::JobMove& move, const MoveWish& wish) {
  if (move.from() != wish.from.str()) return false;
  if (move.begin() >= raw(wish.blocks.end) || move.end() <= raw(wish.blocks.begin)) return false;
  return std::any_of(wish.to.nodes.begin(), wish.to.nodes.end(),
                     [&](const Target& target) { return target.node.str() == move.to(); });
}

}  // namespace ukai::ctl
