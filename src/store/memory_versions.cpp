// SPDX-License-Identifier: BSD-2-Clause
//
// MemoryBlockStore: which versions of blocks there are, and disks that begin as clones of others.
#include <cstring>

#include "store/memory_block_store.h"

namespace ukai {

Result<std::optional<std::vector<Generation>>> MemoryBlockStore::versions(DiskId disk_id,
                                                                          BlockIndex block,
                                                                          bool ready_only) {
  using Found = std::optional<std::vector<Generation>>;
  const std::lock_guard lock(mutex_);
  auto disk = find(disk_id);
  if (!disk.ok()) return disk.error();
  if (ready_only && cold_) return Found{};
  std::vector<Generation> out;
  auto at = (*disk)->blocks.lower_bound(BlockKey{disk_id, block, Generation{0}});
  for (; at != (*disk)->blocks.end() && at->first.block == block; ++at) {
    if (is_there(at->second)) out.push_back(at->first.generation);
  }
  return Found{std::move(out)};
}

/// What the file has before it gets its name is on the medium.
Result<> MemoryBlockStore::fork(BlockKey from, Generation to, std::uint32_t offset_bytes,
                                const Payload& data) {
  BlockKey key = from;
  key.generation = to;
  {
    const std::lock_guard lock(mutex_);
    auto disk = find(from.disk);
    if (!disk.ok()) return disk.error();
    const auto length = static_cast<std::uint32_t>(data.size());
    Block& made = add(**disk, key);
    if (is_there(made)) return Error{Code::exists, "the version is there already"};
    const Block& base = add(**disk, from);
    auto fit = check_edges(from, base, offset_bytes, length);
    if (!fit.ok()) return fit;
    if ((sectors_ + base.cached.size()) * sector_bytes > capacity_bytes_)
      return Error{Code::no_space, "the memory store is full"};
    made.named = true;
    made.sums_as = base.sums_as;
    made.cached = base.cached;
    made.sums = base.sums;
    sectors_ += made.cached.size();
  }
  auto written = data.empty() ? Result<>() : write(key, offset_bytes, data);
  const std::lock_guard lock(mutex_);
  auto disk = find(from.disk);
  if (!disk.ok()) return disk.error();
  Block& made = add(**disk, key);
  made.unflushed.clear();
  if (!written.ok()) {
    sectors_ -= made.cached.size();
    (*disk)->blocks.erase(key);
    return written;
  }
  made.durable = made.cached;
  made.durable_sums = made.sums;
  return {};
}

Result<> MemoryBlockStore::blank(BlockKey key) {
  auto begun = begin(Op::zero, key);
  if (!begun.ok()) return begun;
  const std::lock_guard lock(mutex_);
  auto disk = find(key.disk);
  if (!disk.ok()) return disk.error();
  Block& block = add(**disk, key);
  remove(block);
  block.named = true;
  return {};
}

/// All sectors, and the name; durably with the next flush.
void MemoryBlockStore::remove(Block& block) {
  for (const auto& [index, sector] : block.cached) block.unflushed.insert(index);
  for (const auto& [index, sum] : block.sums) block.unflushed.insert(index);
  sectors_ -= block.cached.size();
  block.cached.clear();
  block.sums.clear();
  block.named = false;
}

Result<> MemoryBlockStore::clone_disk(DiskId from, const std::vector<BlockKey>& frozen,
                                      DiskId made) {
  const std::lock_guard lock(mutex_);
  auto disk = find(from);
  if (!disk.ok()) return disk.error();
  auto [clone, added] = disks_.try_emplace(made);
  if (!added) return Error{Code::exists, "the disk is here already"};
  clone->second.block_size_bytes = (*disk)->block_size_bytes;
  for (const BlockKey& key : frozen) {
    const auto base = (*disk)->blocks.find(key);
    if (base == (*disk)->blocks.end()) continue;
    Block block = base->second;
    block.named = block.durably_named = true;
    sectors_ += block.cached.size();
    clone->second.blocks.emplace(BlockKey{made, key.block, Generation{1}}, std::move(block));
  }
  return {};
}

Result<BlockStore::Usage> MemoryBlockStore::usage(DiskId disk_id) {
  const std::lock_guard lock(mutex_);
  auto disk = find(disk_id);
  if (!disk.ok()) return disk.error();
  Usage usage;
  for (const auto& [key, block] : (*disk)->blocks) {
    if (block.cached.empty()) continue;
    ++usage.blocks;
    usage.allocated_bytes += block.cached.size() * sector_bytes;
    usage.own_bytes = usage.allocated_bytes;
  }
  return usage;
}

Result<BlockStore::Holding> MemoryBlockStore::holding(DiskId disk_id) {
  const std::lock_guard lock(mutex_);
  auto disk = find(disk_id);
  if (!disk.ok()) return disk.error();
  Holding holding;
  holding.block_size_bytes = (*disk)->block_size_bytes;
  for (const auto& [key, block] : (*disk)->blocks) {
    if (is_there(block)) holding.blocks.push_back(key);
  }
  return holding;
}

}  // namespace ukai
