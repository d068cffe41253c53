// SPDX-License-Identifier: BSD-2-Clause
#include "ctl/create_plan.h"

#include <fmt/format.h>

#include <algorithm>
#include <charconv>
#include <set>

#include "base/text.h"
#include "ukai/disk_change.h"
#include "ukai/geometry.h"

namespace ukai::ctl {
namespace {

Result<Placement> plan_placement(const DiskCreateOptions& options) {
  auto names = split_list(options.locations, "--location");
  if (!names) return names.error();
  Placement placement;
  placement.stripe = options.stripe;
  for (const std::string& name : *names) {
    auto id = parse_id(name, "node");
    if (!id) return id.error();
    placement.nodes.emplace_back(*id);
  }
  if (!options.replicas.empty()) {
    const std::string& text = options.replicas;
    const char* end = text.data() + text.size();
    const auto [parsed, error] = std::from_chars(text.data(), end, placement.replicas);
    if (error != std::errc() || parsed != end || placement.replicas == 0) {
      return Error{Code::invalid,
                   fmt::format("--replicas '{}' is not a number of at least 1", printable(text))};
    }
  }
  return placement;
}

Result<Geometry> plan_geometry(const DiskCreateOptions& options,
                               std::uint64_t default_block_size_bytes) {
  auto size = parse_size(options.size);
  if (!size) return size.error();
  std::uint64_t block_size = default_block_size_bytes;
  if (!options.block_size.empty()) {
    auto parsed = parse_size(options.block_size);
    if (!parsed) return parsed.error();
    block_size = *parsed;
  }
  // A disk of one block shows whether the block size by itself is fine.
  auto one_block = make_geometry(block_size, block_size);
  if (!one_block) {
    if (options.block_size.empty()) return one_block;
    return Error{Code::invalid, fmt::format("--block-size '{}': {}", printable(options.block_size),
                                            one_block.error().what)};
  }
  auto geometry = make_geometry(*size, block_size);
  if (!geometry) return geometry;
  // All segments are written in one transaction, with the record, the name and their folder.
  constexpr std::uint64_t segments_max = limits::transaction_ops_max - 16;
  if (geometry->segment_count() > segments_max) {
    return Error{Code::invalid,
                 fmt::format("size {} needs larger blocks than {}: a disk has at most {} of them",
                             format_size(*size), format_size(block_size),
                             segments_max * limits::segment_blocks)};
  }
  return geometry;
}

/// Applies `request` to the new record, so that the same rules hold as for a later change.
Result<> apply(pb::DiskRecord& record, const pb::ChangeDiskRequest& request) {
  auto changed = apply_change(record, request);
  if (!changed) return changed.error();
  record = std::move(*changed);
  return {};
}

}  // namespace

Result<std::vector<std::string>> split_list(const std::vector<std::string>& typed,
                                            std::string_view what) {
  std::vector<std::string> parts;
  for (const std::string& list : typed) {
    for (std::size_t begin = 0; begin <= list.size();) {
      const std::size_t comma = std::min(list.find(',', begin), list.size());
      if (comma == begin) {
        return Error{Code::invalid,
                     fmt::format("{} '{}' has an empty element", what, printable(list))};
      }
      parts.push_back(list.substr(begin, comma - begin));
      begin = comma + 1;
    }
  }
  return parts;
}

Result<pb::MetaChange> parse_meta(const std::vector<std::string>& typed) {
  pb::MetaChange change;
  for (const std::string& entry : typed) {
    const std::size_t equals = entry.find('=');
    if (equals == std::string::npos || equals == 0) {
      return Error{Code::invalid,
                   fmt::format("--meta '{}' is not of the form KEY=VALUE", printable(entry))};
    }
    const std::string key = entry.substr(0, equals);
    const bool odd = std::any_of(key.begin(), key.end(), [](char c) {
      return static_cast<unsigned char>(c) <= 0x20 || c == 0x7f;
    });
    if (odd) {
      return Error{Code::invalid, fmt::format("--meta '{}': a key has no blanks and no control "
                                              "characters",
                                              printable(entry))};
    }
    const std::string value = entry.substr(equals + 1);
    if (value.empty()) {
      change.add_unset(key);
    } else {
      (*change.mutable_set())[key] = value;
    }
  }
  return change;
}

Result<CreatePlan> plan_create(const DiskCreateOptions& options,
                               std::uint64_t default_block_size_bytes) {
  auto name = parse_disk_name(options.name);
  if (!name) return name.error();
  auto geometry = plan_geometry(options, default_block_size_bytes);
  if (!geometry) return geometry.error();
  auto placement = plan_placement(options);
  if (!placement) return placement.error();
  CreatePlan plan;
  plan.nodes = placement->nodes;
  auto checked = check_placement(*placement);
  if (!checked) return checked.error();
  plan.segments = make_map(*geometry, *checked);

  pb::DiskRecord& record = plan.record;
  record.set_id(DiskId::random().to_string());
  record.set_name(name->str());
  record.set_size(geometry->size_bytes);
  record.set_block_size(geometry->block_size_bytes);
  record.set_generation(1);
  std::set<std::string> used;
  for (const pb::MapSegment& segment : plan.segments) {
    for (const pb::ReplicaSet& set : segment.sets()) {
      used.insert(set.nodes().begin(), set.nodes().end());
    }
  }
  for (const NodeId& node : checked->nodes) {
    if (used.contains(node.str())) record.add_members()->set_node(node.str());
  }

  auto meta = parse_meta(options.meta);
  if (!meta) return meta.error();
  pb::ChangeDiskRequest change;
  *change.mutable_meta() = *meta;
  auto applied = apply(record, change);
  if (!applied) return applied.error();
  auto hosts = split_list(options.allow, "--allow");
  if (!hosts) return hosts.error();
  change.mutable_hosts();
  for (const std::string& host : *hosts) change.mutable_hosts()->add_allow(host);
  applied = apply(record, change);
  if (!applied) return applied.error();
  return plan;
}

Result<> check_nodes(const CreatePlan& plan, const std::vector<NodeInfo>& nodes, bool force) {
  std::vector<std::string> down;
  for (const NodeId& id : plan.nodes) {
    const auto node = std::find_if(nodes.begin(), nodes.end(), [&](const NodeInfo& info) {
      return info.record.id() == id.str();
    });
    if (node == nodes.end()) {
      return Error{Code::not_found, fmt::format("there is no node named '{}'", id.str())};
    }
    if (!node->alive) down.push_back(id.str());
    if (node->record.admin_state() == "draining" && !force) {
      return Error{Code::refused,
                   fmt::format("node {} is being drained (--force creates the disk nevertheless)",
                               id.str())};
    }
  }
  if (down.empty() || force) return {};
  return Error{Code::refused,
               fmt::format("node{} {} {} down; nothing was created (--force creates it all the "
                           "same)",
                           down.size() == 1 ? "" : "s", fmt::join(down, ", "),
                           down.size() == 1 ? "is" : "are")};
}

}  // namespace ukai::ctl
