// SPDX-License-Identifier: BSD-2-Clause
//
// Looking for damage in what nobody reads: pass after pass over all that the node stores. It only
// finds and tells; the disk's holder knows who has a good replica, and repairs.
#include <fmt/format.h>

#include <algorithm>

#include "base/log.h"
#include "node/node_core.h"
#include "ukai/limits.h"

namespace ukai {

/// Puts the next disk's blocks in line; false: there is no further disk.
bool NodeCore::scrub_begin() {
  while (scrub_.blocks.empty()) {
    if (scrub_.disks.empty()) return false;
    const DiskId id = scrub_.disks.front();
    scrub_.disks.pop_front();
    auto found = store_.holding(id);
    if (!found.ok()) continue;  // deleted meanwhile, or complained of elsewhere
    scrub_.blocks.assign(found->blocks.begin(), found->blocks.end());
    scrub_.at_bytes = 0;
  }
  return true;
}

std::uint64_t NodeCore::scrub_step() {
  const std::lock_guard turn(scrub_mutex_);
  if (closed()) return 0;
  if (!scrub_.under_way) {
    auto disks = store_.disks();
    if (!disks.ok()) return 0;
    scrub_.disks.assign(disks->begin(), disks->end());
    scrub_.under_way = true;
  }
  while (scrub_begin()) {
    const BlockKey key = scrub_.blocks.front();
    const DiskRef disk = find(key.disk);
    const std::uint64_t bytes = disk ? scrub_piece(*disk, key) : 0;
    if (bytes > 0) {
      counters_.scrubbed_bytes.fetch_add(bytes, std::memory_order_relaxed);
      return bytes;
    }
    scrub_.blocks.pop_front();
    scrub_.at_bytes = 0;
  }
  scrub_.under_way = false;
  counters_.scrub_passes.fetch_add(1, std::memory_order_relaxed);
  return 0;
}

/// The bytes read; 0: there is no more of this block. One that is being changed, or that a crash
/// may have torn, is left for the next pass.
std::uint64_t NodeCore::scrub_piece(DiskState& disk, BlockKey key) {
  const std::shared_lock pass(disk.gate);
  const LogKey log_key{key.block, key.generation};
  // Before the first fence nobody has said how large the disk is, nor what is torn.
  if (disk.deleted || !disk.suspected || disk.log.is_active(log_key)) return 0;
  if (disk.torn.contains(log_key)) return 0;
  const std::uint32_t begin = scrub_.at_bytes;
  if (begin >= disk.geometry.block_size_bytes) return 0;
  const std::uint32_t end = std::min(disk.geometry.block_size_bytes, begin + limits::io_bytes_max);
  scrub_.at_bytes = end;
  auto bad = store_.check(key, {begin, end});
  if (!bad.ok()) {
    complain(disk, bad.error());
    return end - begin;
  }
  for (const Extent& extent : *bad) {
    counters_.scrub_found_units.fetch_add(
        (extent.end_bytes - extent.begin_bytes) / BlockStore::unit_bytes,
        std::memory_order_relaxed);
    log::error("event=scrub_found_damage disk={} block={} begin={} end={}",
               disk.name.empty() ? disk.id.to_string() : disk.name, raw(key.block),
               extent.begin_bytes, extent.end_bytes);
  }
  return end - begin;
}

}  // namespace ukai
