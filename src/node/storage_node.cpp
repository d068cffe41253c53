// SPDX-License-Identifier: BSD-2-Clause
#include "ukai/storage_node.h"

#include "node/node_core.h"

namespace ukai {

StorageNode::StorageNode(BlockStore& store, Scheduler& scheduler, StorageNodeOptions options)
    : core_(std::make_shared<NodeCore>(store, scheduler, std::move(options))) {}

StorageNode::~StorageNode() { core_->close(); }

std::optional<IoReply> StorageNode::handle(const IoRequest& request, bool inline_only) {
  return core_->handle(request, inline_only);
}

Result<pb::FenceReply> StorageNode::fence(const pb::FenceRequest& request) {
  return core_->fence(request);
}

Result<pb::DirtyListReply> StorageNode::dirty_list(const pb::DirtyListRequest& request) {
  return core_->dirty_list(request);
}

Result<pb::CleanReply> StorageNode::clean(const pb::CleanRequest& request) {
  return core_->clean(request);
}

Result<pb::SetMissingReply> StorageNode::set_missing(const pb::SetMissingRequest& request) {
  return core_->set_missing(request);
}

Task<Result<pb::PullReply>> StorageNode::pull(pb::PullRequest request) {
  return pull_block(core_, std::move(request));
}

Result<pb::HashReply> StorageNode::hash(const pb::HashRequest& request) {
  return core_->hash(request);
}

Task<Result<pb::HashReply>> StorageNode::hash_in_background(pb::HashRequest request) {
  return hash_block(core_, std::move(request));
}

Result<pb::CloneReply> StorageNode::clone(const pb::CloneRequest& request) {
  return core_->clone(request);
}

Result<pb::DiskUsageReply> StorageNode::disk_usage(const pb::DiskUsageRequest& request) {
  return core_->disk_usage(request);
}

Result<> StorageNode::delete_blocks(const pb::TrashRecord& order) {
  return core_->delete_blocks(order);
}

std::vector<DiskId> StorageNode::left_disks() { return core_->left_disks(); }

Result<> StorageNode::delete_left(DiskId disk) { return core_->delete_left(disk); }

std::uint64_t StorageNode::scrub_step() { return core_->scrub_step(); }

pb::HealthReply StorageNode::health() { return core_->health(); }

Result<pb::HeldReply> StorageNode::held(const pb::HeldRequest& request) {
  return core_->held(request);
}

Result<> StorageNode::delete_disk(DiskId disk) { return core_->delete_disk(disk); }

}  // namespace ukai
