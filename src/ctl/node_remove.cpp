// SPDX-License-Identifier: BSD-2-Clause
#include <fmt/format.h>

#include <algorithm>

#include "ctl/commands.h"
#include "ctl/disk_json.h"
#include "ctl/recovery_view.h"
#include "ctl/table.h"
#include "ukai/disk_change.h"

namespace ukai::ctl {
namespace {

constexpr std::size_t names_shown_max = 5;

Result<> check_node(Context& context, const std::string& id) {
  auto nodes = load_nodes(context);
  if (!nodes) return nodes.error();
  const auto node = std::find_if(nodes->begin(), nodes->end(),
                                 [&](const NodeInfo& info) { return info.record.id() == id; });
  if (node == nodes->end()) {
    return Error{Code::not_found, fmt::format("there is no node named '{}'", id)};
  }
  if (!node->alive) return {};
  return Error{Code::busy, fmt::format("node {} is running; stop it first", id)};
}

/// The disks that have the node as a member. corrupt: of some disk it cannot be told.
Result<std::vector<pb::DiskRecord>> disks_of(Context& context, const std::string& node) {
  auto listed = context.ask(context.catalog().disks());
  if (!listed) return listed.error();
  std::vector<pb::DiskRecord> out;
  for (const DiskListing& disk : *listed) {
    if (!disk.entry) {
      return Error{disk.entry.code(),
                   fmt::format("disk {}: {}", disk.name.str(), disk.entry.error().what)};
    }
    const auto& members = disk.entry->record.members();
    const bool here = std::any_of(members.begin(), members.end(), [&](const auto& member) {
      return member.node() == node && !member.gone();
    });
    if (here) out.push_back(disk.entry->record);
  }
  return out;
}

std::string some_names(const std::vector<pb::DiskRecord>& disks) {
  std::vector<std::string> names;
  for (const pb::DiskRecord& disk : disks) {
    if (names.size() == names_shown_max) {
      names.push_back(fmt::format("{} more", disks.size() - names_shown_max));
      break;
    }
    names.push_back(disk.name());
  }
  return join(names, ", ");
}

Result<NodeDropped> plan(Context& context, const pb::DiskRecord& record, const NodeId& node) {
  auto segments = load_map(context, record, all_blocks(record));
  if (!segments) return segments.error();
  return drop_node(record, *segments, node);
}

/// Under a lease of our own, for a disk that nobody holds.
Result<pb::DiskRecord> drop_alone(Context& context, DiskId disk,
                                  const pb::ChangeDiskRequest& request) {
  auto lease = AdminLease::take(context, disk);
  if (!lease) return lease.error();
  const DiskEntry& entry = (*lease)->entry();
  auto dropped = plan(context, entry.record, NodeId(request.drop_node().node()));
  if (!dropped) return dropped.error();
  if (!dropped->lost.empty() && !request.drop_node().accept_loss()) {
    return Error{Code::refused,
                 fmt::format("disk {}: only node {} has blocks {}", entry.record.name(),
                             request.drop_node().node(), blocks_text(dropped->lost))};
  }
  std::vector<SegmentEntry> segments;
  for (pb::MapSegment& segment : dropped->segments) {
    auto now = context.ask(context.catalog().load_segment(disk, segment.segment()));
    if (!now) return now.error();
    segments.push_back({std::move(segment), now->version});
  }
  pb::EventRecord event;
  event.set_what("node_removed");
  event.set_node(request.drop_node().node());
  event.set_text(dropped->lost.empty()
                     ? std::string("its replicas are forgotten")
                     : fmt::format("only it had blocks {}", blocks_text(dropped->lost)));
  auto done = context.ask(context.catalog().update_disk_and_map((*lease)->lease(), entry,
                                                                dropped->record, segments, event));
  if (!done) return done.error();
  return done->record;
}

Error not_known(const pb::DiskRecord& disk, const NodeId& node) {
  return {Code::refused,
          fmt::format("disk {}: its metadata were loaded, and whether node {} was the one that is "
                      "up to date can no longer be found out; --accept-loss gives it up",
                      disk.name(), node.str())};
}

/// Looks at all disks before the first one is changed.
Result<std::vector<DiskLoss>> losses(Context& context, const std::vector<pb::DiskRecord>& disks,
                                     const NodeId& node, bool accept_loss) {
  std::vector<DiskLoss> out;
  std::vector<std::string> lost;
  for (const pb::DiskRecord& disk : disks) {
    auto dropped = plan(context, disk, node);
    if (!dropped) return dropped.error();
    if (disk.unproven() && dropped->lost.empty() && !accept_loss) return not_known(disk, node);
    if (!dropped->lost.empty() && lost.size() < names_shown_max) {
      lost.push_back(fmt::format("disk {} blocks {}", disk.name(), blocks_text(dropped->lost)));
    }
    out.push_back({disk.name(), std::move(dropped->lost)});
  }
  if (lost.empty() || accept_loss) return out;
  return Error{Code::refused,
               fmt::format("only node {} has an in-sync replica of {}; --accept-loss "
                           "gives them up",
                           node.str(), join(lost, "; "))};
}

}  // namespace

Result<> node_remove(Context& context, const NodeRemoveOptions& options) {
  auto id = parse_id(options.node, "node");
  if (!id) return id.error();
  auto gone = check_node(context, *id);
  if (!gone) return gone;
  auto disks = disks_of(context, *id);
  if (!disks) return disks.error();
  if (!disks->empty() && !options.lost) {
    return Error{Code::refused,
                 fmt::format("node {} has blocks of {}; take them off it, or say --lost if it is "
                             "gone for good",
                             *id, some_names(*disks))};
  }
  auto lost = losses(context, *disks, NodeId(*id), options.accept_loss);
  if (!lost) return lost.error();
  for (const pb::DiskRecord& disk : *disks) {
    pb::ChangeDiskRequest request;
    request.set_disk_id(disk.id());
    request.mutable_drop_node()->set_node(*id);
    request.mutable_drop_node()->set_accept_loss(options.accept_loss);
    auto changed = change_through(context, disk, request, &drop_alone);
    if (!changed && changed.code() != Code::not_found) return changed.error();
  }
  auto removed = context.ask(context.catalog().remove_node(NodeId(*id)));
  if (!removed) return removed;
  context.print(context.json() ? remove_json(*id, *lost) : remove_text(*id, *lost));
  return {};
}

}  // namespace ukai::ctl
