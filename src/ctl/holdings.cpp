// SPDX-License-Identifier: BSD-2-Clause
#include "ctl/holdings.h"

#include <fmt/format.h>

#include "ctl/lookup.h"
#include "ctl/progress_bar.h"

namespace ukai::ctl {
namespace {

using Calls = DaemonCalls;

Error node_error(const pb::NodeRecord& node, const Error& error) {
  return {error.code, fmt::format("node {}: {}", node.id(), error.what)};
}

Result<std::vector<pb::HeldDisk>> held_disks(Calls& calls, const pb::NodeRecord& node) {
  std::vector<pb::HeldDisk> out;
  for (bool more = true; more;) {
    pb::HeldRequest request;
    request.set_list(pb::HeldRequest::DISKS);
    if (!out.empty()) request.set_after_disk(out.back().disk_id());
    auto page = sync_wait(calls.held(node, request));
    if (!page) return node_error(node, page.error());
    out.insert(out.end(), page->disks().begin(), page->disks().end());
    more = page->more() && page->disks_size() > 0;
  }
  return out;
}

Result<std::vector<BlockRange>> held_blocks(Calls& calls, const pb::NodeRecord& node,
                                            pb::HeldRequest request) {
  std::vector<BlockRange> out;
  for (bool more = true; more;) {
    auto page = sync_wait(calls.held(node, request));
    if (!page) return node_error(node, page.error());
    for (const pb::BlockSpan& span : page->blocks()) {
      out.push_back({BlockIndex{span.begin()}, BlockIndex{span.end()}});
    }
    more = page->more() && page->blocks_size() > 0;
    if (more) request.set_from_block(page->blocks(page->blocks_size() - 1).begin() + 1);
  }
  return out;
}

Result<NodeHolding> load_one(Calls& calls, const pb::NodeRecord& node, const pb::HeldDisk& disk) {
  NodeHolding out;
  out.node = node.id();
  out.disk = disk;
  pb::HeldRequest request;
  request.set_disk_id(disk.disk_id());
  request.set_list(pb::HeldRequest::BLOCKS);
  auto blocks = held_blocks(calls, node, request);
  if (!blocks) return blocks.error();
  out.blocks = std::move(*blocks);
  request.set_list(pb::HeldRequest::MISSED);
  for (const std::string& member : disk.accused()) {
    request.set_member(member);
    auto missed = held_blocks(calls, node, request);
    if (!missed) return missed.error();
    out.missed[member] = std::move(*missed);
  }
  return out;
}

}  // namespace

Result<std::map<std::string, std::vector<NodeHolding>>> load_holdings(
    Context& context, const std::set<std::string>& known) {
  auto nodes = load_nodes(context);
  if (!nodes) return nodes.error();
  // 1. Which disks there are.
  std::vector<std::pair<pb::NodeRecord, pb::HeldDisk>> wanted;
  bool any = false;
  for (const NodeInfo& node : *nodes) {
    if (!node.alive) continue;
    any = true;
    auto disks = held_disks(context.calls(), node.record);
    if (!disks) return disks.error();
    for (const pb::HeldDisk& disk : *disks) {
      if (!known.contains(disk.disk_id())) wanted.emplace_back(node.record, disk);
    }
  }
  if (!any) return Error{Code::not_found, "no node is running that could be asked"};

  // 2. What of them.
  ProgressBar bar(context.environment().err, context.environment().err_is_terminal);
  std::map<std::string, std::vector<NodeHolding>> out;
  for (std::size_t i = 0; i < wanted.size(); ++i) {
    bar.update(i, wanted.size());
    const auto& [node, disk] = wanted[i];
    auto holding = load_one(context.calls(), node, disk);
    if (!holding) return holding.error();
    out[disk.disk_id()].push_back(std::move(*holding));
  }
  return out;
}

}  // namespace ukai::ctl
