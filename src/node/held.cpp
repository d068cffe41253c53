// SPDX-License-Identifier: BSD-2-Clause
//
// What lies on a storage node, for the day when the metadata are lost. Changes nothing and needs no
// session: nobody may be left who could open one.
#include <algorithm>

#include "node/node_core.h"
#include "ukai/limits.h"

namespace ukai {
namespace {

std::vector<LogSpan> spans_of(const std::vector<BlockKey>& blocks) {
  std::vector<LogKey> keys;
  keys.reserve(blocks.size());
  for (const BlockKey& key : blocks) keys.push_back({key.block, key.generation});
  return to_spans(std::move(keys));
}

/// The page of `spans` that begins at `from`. A block belongs to one page with all of its versions.
void add_page(std::vector<LogSpan> spans, BlockIndex from, pb::HeldReply& reply) {
  std::sort(spans.begin(), spans.end());
  for (LogSpan span : spans) {
    if (span.end <= from) continue;
    span.begin = std::max(span.begin, from);
    const auto size = static_cast<std::size_t>(reply.blocks_size());
    const bool other = size > 0 && reply.blocks(reply.blocks_size() - 1).begin() != raw(span.begin);
    if (size >= limits::held_spans_max && other) {
      reply.set_more(true);
      return;
    }
    pb::BlockSpan& out = *reply.add_blocks();
    out.set_begin(raw(span.begin));
    out.set_end(raw(span.end));
    out.set_generation(raw(span.generation));
  }
}

}  // namespace

Result<> NodeCore::add_held_disk(DiskId id, pb::HeldReply& reply) {
  const DiskRef disk = find_or_add(id);
  const std::unique_lock pass(disk->gate);
  if (disk->deleted) return {};
  auto loaded = disk->load_session();
  if (loaded.ok()) loaded = disk->load_log();
  if (!loaded.ok()) return loaded;
  auto holding = store_.holding(id);
  if (!holding.ok()) return holding.error();
  pb::HeldDisk& out = *reply.add_disks();
  out.set_disk_id(id.to_string());
  out.set_name(disk->record.name);
  out.set_size(disk->record.size_bytes);
  out.set_block_size(holding->block_size_bytes);
  out.set_epoch(raw(disk->record.epoch));
  out.set_session(raw(disk->record.session));
  out.set_generation(raw(disk->record.generation));
  for (const std::string& member : disk->record.members) out.add_members(member);
  for (const std::string& member : disk->log.accused()) out.add_accused(member);
  return {};
}

Result<std::vector<LogSpan>> NodeCore::held_spans(const pb::HeldRequest& request) {
  auto id = disk_id_of(request.disk_id());
  if (!id.ok()) return id.error();
  const DiskRef disk = find(*id);
  if (!disk) return Error{Code::not_found, "this node has no disk " + request.disk_id()};
  if (request.list() == pb::HeldRequest::BLOCKS) {
    auto holding = store_.holding(*id);
    if (!holding.ok()) return holding.error();
    return spans_of(holding->blocks);
  }
  const std::unique_lock pass(disk->gate);
  auto loaded = disk->load_log();
  if (!loaded.ok()) return loaded.error();
  return request.list() == pb::HeldRequest::ACTIVE ? disk->log.active()
                                                   : disk->log.missed_by(request.member());
}

Result<pb::HeldReply> NodeCore::held(const pb::HeldRequest& request) {
  pb::HeldReply reply;
  reply.set_node_id(options_.id.str());
  reply.set_cluster_id(options_.cluster_id);
  if (request.list() != pb::HeldRequest::DISKS) {
    auto spans = held_spans(request);
    if (!spans.ok()) return spans.error();
    add_page(std::move(*spans), BlockIndex{request.from_block()}, reply);
    return reply;
  }
  auto disks = store_.disks();
  if (!disks.ok()) return disks.error();
  std::sort(disks->begin(), disks->end());
  for (const DiskId& id : *disks) {
    if (id.to_string() <= request.after_disk()) continue;
    if (static_cast<std::size_t>(reply.disks_size()) >= limits::held_disks_max) {
      reply.set_more(true);
      break;
    }
    auto added = add_held_disk(id, reply);
    if (!added.ok()) return added.error();
  }
  return reply;
}

}  // namespace ukai
