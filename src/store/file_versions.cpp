// SPDX-License-Identifier: BSD-2-Clause
//
// FileBlockStore: versions of blocks, and disks that begin as clones of others.
#include <fmt/format.h>
#include <unistd.h>

#include <cerrno>
#include <cstdio>
#include <set>

#include "store/file_block_store.h"

namespace ukai {

Result<std::optional<std::vector<Generation>>> FileBlockStore::versions(DiskId disk,
                                                                        BlockIndex block,
                                                                        bool ready_only) {
  auto found = find(disk);
  if (!found.ok()) return found.error();
  return (*found)->versions(block, ready_only);
}

Result<> FileBlockStore::fork(BlockKey from, Generation to, std::uint32_t offset_bytes,
                              const Payload& data) {
  auto disk = find(from.disk);
  if (!disk.ok()) return disk.error();
  auto fits = space_.fits((*disk)->block_size_bytes());
  if (!fits.ok()) return fits.error();
  if (!*fits) return full();
  auto base = files_.use(*disk, from);
  auto opened = ensure_open(*disk, *base, false);
  if (!opened.ok()) return opened;
  auto file = files_.use(*disk, {from.disk, from.block, to});
  const std::unique_lock state(file->state);
  const std::shared_lock base_state(base->state);
  return (*disk)->fork(*file, *base, io_, offset_bytes, data);
}

/// Built aside and renamed, as a new disk's folder is.
Result<> FileBlockStore::clone_disk(DiskId from, const std::vector<BlockKey>& frozen, DiskId made) {
  auto disk = find(from);
  if (!disk.ok()) return disk.error();
  const std::unique_lock lock(disks_mutex_);
  if (disks_.contains(made) || load(made).ok())
    return Error{Code::exists, fmt::format("disk {} is here already", made.to_string())};
  std::vector<DiskId> origins = (*disk)->origins();
  origins.push_back(from);
  auto folder = begin_folder(made, (*disk)->block_size_bytes(), origins);
  if (!folder.ok()) return folder.error();
  std::set<std::string> shards;
  for (const BlockKey& key : frozen) {
    const std::string shard = OpenBlock::shard_name(key.block);
    auto done = shards.insert(shard).second ? make_folder(*folder, shard) : Result<>();
    if (done.ok()) done = (*disk)->link_into(*folder, key);
    if (!done.ok()) return done;
    // Whoever opens it from here on sees the links by himself.
    if (auto file = files_.use_if_open(key)) {
      const std::unique_lock state((*file)->state);
      (*file)->shared = true;
    }
  }
  for (const std::string& name : shards) {
    auto shard = open_folder(*folder, name);
    if (!shard.ok()) return shard.error();
    auto synced = sync_folder(*shard);
    if (!synced.ok()) return synced;
  }
  auto synced = sync_folder(*folder);
  if (!synced.ok()) return synced;
  return end_folder(made, (*disk)->block_size_bytes(), std::move(*folder), origins);
}

}  // namespace ukai
