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

/// `epoch`: larger than any under which a member went missing.
Result<Recovery> plan(Context& context, const pb::DiskRecord& record, const NodeId& node,
                      Epoch epoch) {
  auto segments = load_map(context, record, all_blocks(record));
  if (!segments) return segments.error();
  return recover_from(record, *segments, node, epoch);
}

const NodeInfo* find_node(const std::vector<NodeInfo>& nodes, const std::string& id) {
  const auto found = std::find_if(nodes.begin(), nodes.end(),
                                  [&](const NodeInfo& node) { return node.record.id() == id; });
  return found == nodes.end() ? nullptr : &*found;
}

/// Registered as running or not: does its daemon answer?
bool answers(Context& context, const NodeInfo& node, const pb::DiskRecord& record) {
  if (node.alive) return true;
  pb::DirtyListRequest request;
  request.mutable_ref()->set_disk_id(record.id());
  request.mutable_ref()->set_epoch(record.epoch());
  auto reply = sync_wait(context.calls().dirty_list(node.record, request));
  return !reply.failed_with(Code::unreachable) && !reply.failed_with(Code::unknown) &&
         !reply.failed_with(Code::shut_down);
}

/// Whether the replica exists, can be used, and is all that is left.
Result<> check(Context& context, const pb::DiskRecord& record, const NodeId& from,
               const Recovery& recovery) {
  auto nodes = load_nodes(context);
  if (!nodes) return nodes.error();
  const auto& members = record.members();
  if (std::none_of(members.begin(), members.end(),
                   [&](const pb::Member& member) { return member.node() == from.str(); })) {
    return Error{Code::not_found,
                 fmt::format("disk {} has no replica on node {}", record.name(), from.str())};
  }
  const NodeInfo* source = find_node(*nodes, from.str());
  if (source == nullptr || !source->alive) {
    return Error{Code::unreachable, fmt::format("node {} is not running", from.str())};
  }
  if (recovery.blocks == 0) {
    return Error{Code::refused,
                 fmt::format("disk {}: the replica on node {} is in sync, there is nothing to "
                             "recover",
                             record.name(), from.str())};
  }
  if (record.unproven()) return {};  // it is not known who is in sync
  for (const NodeId& other : recovery.in_sync) {
    const NodeInfo* node = find_node(*nodes, other.str());
    if (node == nullptr || !answers(context, *node, record)) continue;
    return Error{
        Code::refused,
        fmt::format("disk {}: node {} has an in-sync replica and answers; 'ukaictl sync {}' "
                    "brings node {} in sync without a loss",
                    record.name(), other.str(), record.name(), from.str())};
  }
  return {};
}

/// What the operator gives up, in one clause.
std::string loss_text(const pb::DiskRecord& record, const NodeId& from, const Recovery& recovery) {
  if (record.unproven()) {
    return fmt::format("of {}, all that node {} lacks is given up",
                       count_of(recovery.blocks, "block"), from.str());
  }
  std::string since = "it went out of sync";
  for (const pb::Member& member : record.members()) {
    if (member.node() == from.str() && member.missing()) since = format_time(member.since_unix_s());
  }
  return fmt::format("all that was written to {} since {} may be lost",
                     count_of(recovery.blocks, "block"), since);
}

Result<> confirm(Context& context, const DiskRecoverOptions& options, const std::string& loss) {
  const Environment& environment = context.environment();
  if (options.yes || !environment.ask_line) return {};
  environment.err << fmt::format("disk {}: {}. Type the disk's name to go on: ", options.name, loss)
                  << std::flush;
  if (environment.ask_line() == options.name) return {};
  return Error{Code::refused, fmt::format("disk {} is left as it is", options.name)};
}

}  // namespace

Result<> disk_recover(Context& context, const DiskRecoverOptions& options) {
  auto id = parse_id(options.from, "node");
  if (!id) return id.error();
  const NodeId from(*id);

  // 1. Is it what the operator thinks it is?
  auto entry = load_disk(context, options.name);
  if (!entry) return entry.error();
  auto recovery = plan(context, entry->record, from, Epoch{entry->record.epoch() + 1});
  if (!recovery) return recovery.error();
  auto possible = check(context, entry->record, from, *recovery);
  if (!possible) return possible;
  const std::string loss = loss_text(entry->record, from, *recovery);
  if (!options.accept_loss) {
    return Error{Code::refused,
                 fmt::format("disk {}: {}; --accept-loss if so be it", options.name, loss)};
  }
  auto confirmed = confirm(context, options, loss);
  if (!confirmed) return confirmed;

  // 2. Once more under a lease of our own: nobody changes anything now.
  auto lease = take_idle_lease(context, entry->record);
  if (!lease) return lease.error();
  const DiskEntry& held = (*lease)->entry();
  recovery = plan(context, held.record, from, Epoch{held.record.epoch()});
  if (!recovery) return recovery.error();
  possible = check(context, held.record, from, *recovery);
  if (!possible) return possible;
  // Whoever had it open has read what is no longer so.
  recovery->record.set_guest_epoch(held.record.epoch());
  std::vector<SegmentEntry> segments;
  for (pb::MapSegment& segment : recovery->segments) {
    const DiskId disk = (*lease)->lease().disk;
    auto now = context.ask(context.catalog().load_segment(disk, segment.segment()));
    if (!now) return now.error();
    segments.push_back({std::move(segment), now->version});
  }
  pb::EventRecord event;
  event.set_what("disk_recovered");
  event.set_node(from.str());
  event.set_text(loss);
  auto done = context.ask(context.catalog().update_disk_and_map((*lease)->lease(), held,
                                                                recovery->record, segments, event));
  if (!done) return done.error();
  context.print(context.json() ? recover_json(*recovery, from)
                               : recover_text(*recovery, from, loss));
  return {};
}

}  // namespace ukai::ctl
