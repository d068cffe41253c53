// SPDX-License-Identifier: BSD-2-Clause
#include "store/memory_block_store.h"

#include <fmt/format.h>

#include <algorithm>
#include <cstring>
#include <random>
#include <vector>

namespace ukai {
namespace {

std::size_t index_of(MemoryBlockStore::Op op) { return static_cast<std::size_t>(op); }

}  // namespace

Result<> MemoryBlockStore::begin(Op op, const BlockKey& key) {
  std::function<void(Op, const BlockKey&)> hook;
  {
    const std::lock_guard lock(mutex_);
    hook = hook_;
  }
  if (hook) hook(op, key);
  const std::lock_guard lock(mutex_);
  ++calls_[index_of(op)];
  Fault& fault = faults_[index_of(op)];
  if (fault.left == 0) return {};
  if (fault.left > 0) --fault.left;
  return Error{fault.code, "injected fault"};
}

Result<MemoryBlockStore::Disk*> MemoryBlockStore::find(DiskId disk) {
  const auto at = disks_.find(disk);
  if (at == disks_.end())
    return Error{Code::not_found, fmt::format("disk {} is not in this store", disk.to_string())};
  return &at->second;
}

Result<> MemoryBlockStore::check_range(const Disk& disk, std::uint64_t offset,
                                       std::uint64_t length) {
  if (offset + length <= disk.block_size_bytes) return {};
  return Error{Code::invalid, fmt::format("bytes {}..{} are beyond the block of {} bytes", offset,
                                          offset + length, disk.block_size_bytes)};
}

Result<> MemoryBlockStore::open_disk(DiskId disk, std::uint32_t block_size_bytes) {
  const std::lock_guard lock(mutex_);
  auto [at, added] = disks_.try_emplace(disk);
  if (added) at->second.block_size_bytes = block_size_bytes;
  if (at->second.block_size_bytes != block_size_bytes)
    return Error{Code::invalid,
                 fmt::format("disk {} has blocks of {} bytes here, not of {}", disk.to_string(),
                             at->second.block_size_bytes, block_size_bytes)};
  at->second.failed = false;
  return {};
}

Result<> MemoryBlockStore::delete_disk(DiskId disk) {
  const std::lock_guard lock(mutex_);
  const auto at = disks_.find(disk);
  if (at == disks_.end()) return {};
  for (const auto& [key, block] : at->second.blocks) sectors_ -= block.cached.size();
  disks_.erase(at);
  return {};
}

Result<std::vector<DiskId>> MemoryBlockStore::disks() {
  const std::lock_guard lock(mutex_);
  std::vector<DiskId> ids;
  for (const auto& [id, disk] : disks_) ids.push_back(id);
  return ids;
}

Result<std::optional<Payload>> MemoryBlockStore::read(BlockKey key, std::uint32_t offset_bytes,
                                                      std::uint32_t length_bytes, bool ready_only) {
  auto begun = begin(Op::read, key);
  if (!begun.ok()) return begun.error();
  const std::lock_guard lock(mutex_);
  auto disk = find(key.disk);
  if (!disk.ok()) return disk.error();
  auto checked = check_range(**disk, offset_bytes, length_bytes);
  if (!checked.ok()) return checked.error();
  if (ready_only && cold_) return std::optional<Payload>{};
  const auto block = (*disk)->blocks.find(key);
  if (block == (*disk)->blocks.end()) return std::optional<Payload>{Payload::zeros(length_bytes)};
  auto fit = check_fit(key, block->second, offset_bytes, offset_bytes + length_bytes);
  if (!fit.ok() && ready_only) return std::optional<Payload>{};
  if (!fit.ok()) return fit.error();
  std::string bytes(length_bytes, '\0');
  for (std::uint32_t done = 0; done < length_bytes;) {
    const std::uint32_t at = offset_bytes + done;
    const std::uint32_t within = at % sector_bytes;
    const std::uint32_t take = std::min(length_bytes - done, sector_bytes - within);
    const auto sector = block->second.cached.find(at / sector_bytes);
    if (sector != block->second.cached.end())
      std::memcpy(bytes.data() + done, sector->second->data() + within, take);
    done += take;
  }
  return std::optional<Payload>{Payload(Bytes::copy_of(bytes))};
}

MemoryBlockStore::Block& MemoryBlockStore::add(Disk& disk, const BlockKey& key) {
  auto [at, added] = disk.blocks.try_emplace(key);
  if (added) at->second.sums_as = key;
  return at->second;
}

void MemoryBlockStore::put(Block& block, std::uint32_t index, SectorRef sector) {
  const bool had = block.cached.contains(index);
  if (!had && !sector && !block.sums.contains(index)) return;
  if (sector) {
    block.sums[index] = UnitSummer(block.sums_as).of(index, *sector);
    block.cached[index] = std::move(sector);
    if (!had) ++sectors_;
  } else {
    block.sums.erase(index);
    block.cached.erase(index);
    if (had) --sectors_;
  }
  block.unflushed.insert(index);
}

bool MemoryBlockStore::fits(const Block& block, std::uint32_t index) {
  static const Sector zeros{};
  const auto sector = block.cached.find(index);
  const auto sum = block.sums.find(index);
  return UnitSummer(block.sums_as)
      .fits(index, sector == block.cached.end() ? zeros : *sector->second,
            sum == block.sums.end() ? sum_of_nothing : sum->second);
}

Result<> MemoryBlockStore::check_fit(const BlockKey& key, const Block& block, std::uint64_t begin,
                                     std::uint64_t end) {
  for (std::uint64_t i = begin / sector_bytes; i * sector_bytes < end; ++i) {
    if (fits(block, static_cast<std::uint32_t>(i))) continue;
    return Error{Code::corrupt,
                 fmt::format("block {}: bytes {}..{} do not fit their checksum", raw(key.block),
                             i * sector_bytes, (i + 1) * sector_bytes)};
  }
  return {};
}

Result<> MemoryBlockStore::check_edges(const BlockKey& key, const Block& block,
                                       std::uint32_t offset, std::uint32_t length) {
  const std::uint32_t end = offset + length;
  if (offset % sector_bytes != 0) {
    auto fit = check_fit(key, block, offset, offset + 1);
    if (!fit.ok()) return fit;
  }
  if (end % sector_bytes == 0) return {};
  return check_fit(key, block, end - 1, end);
}

void MemoryBlockStore::will_read(BlockKey key) { static_cast<void>(begin(Op::will_read, key)); }

Result<> MemoryBlockStore::write(BlockKey key, std::uint32_t offset_bytes, const Payload& data) {
  auto begun = begin(Op::write, key);
  if (!begun.ok()) return begun;
  const std::string bytes = data.to_string();
  const auto length = static_cast<std::uint32_t>(bytes.size());
  const std::lock_guard lock(mutex_);
  auto disk = find(key.disk);
  if (!disk.ok()) return disk.error();
  auto checked = check_range(**disk, offset_bytes, length);
  if (!checked.ok() || length == 0) return checked;
  Block& block = add(**disk, key);
  auto fit = check_edges(key, block, offset_bytes, length);
  if (!fit.ok()) return fit;
  for (std::uint32_t done = 0; done < length;) {
    const std::uint32_t at = offset_bytes + done;
    const std::uint32_t within = at % sector_bytes;
    const std::uint32_t take = std::min(length - done, sector_bytes - within);
    // As a file system does: what comes before has been written.
    if (!block.cached.contains(at / sector_bytes) &&
        (sectors_ + 1) * sector_bytes > capacity_bytes_)
      return Error{Code::no_space, "the memory store is full"};
    const auto old = block.cached.find(at / sector_bytes);
    auto sector = std::make_shared<Sector>(old == block.cached.end() ? Sector{} : *old->second);
    std::memcpy(sector->data() + within, bytes.data() + done, take);
    put(block, at / sector_bytes, std::move(sector));
    done += take;
  }
  return {};
}

Result<> MemoryBlockStore::zero(BlockKey key, std::uint32_t offset_bytes,
                                std::uint32_t length_bytes) {
  auto begun = begin(Op::zero, key);
  if (!begun.ok()) return begun;
  const std::lock_guard lock(mutex_);
  auto disk = find(key.disk);
  if (!disk.ok()) return disk.error();
  auto checked = check_range(**disk, offset_bytes, length_bytes);
  if (!checked.ok()) return checked;
  const auto at_block = (*disk)->blocks.find(key);
  if (at_block == (*disk)->blocks.end()) return {};
  Block& block = at_block->second;
  if (length_bytes == (*disk)->block_size_bytes) {
    remove(block);
    return {};
  }
  auto fit = check_edges(key, block, offset_bytes, length_bytes);
  if (!fit.ok()) return fit;
  for (std::uint32_t done = 0; done < length_bytes;) {
    const std::uint32_t at = offset_bytes + done;
    const std::uint32_t within = at % sector_bytes;
    const std::uint32_t take = std::min(length_bytes - done, sector_bytes - within);
    const auto old = block.cached.find(at / sector_bytes);
    if (take == sector_bytes) {
      put(block, at / sector_bytes, nullptr);
    } else if (old != block.cached.end()) {
      auto sector = std::make_shared<Sector>(*old->second);
      std::memset(sector->data() + within, 0, take);
      put(block, at / sector_bytes, std::move(sector));
    }
    done += take;
  }
  return {};
}

void MemoryBlockStore::reach_medium(Block& block, std::uint32_t index, bool data, bool sum) {
  const auto copy = [index](auto& from, auto& to) {
    const auto at = from.find(index);
    if (at == from.end())
      to.erase(index);
    else
      to[index] = at->second;
  };
  if (data) copy(block.cached, block.durable);
  if (sum) copy(block.sums, block.durable_sums);
}

Result<> MemoryBlockStore::flush(DiskId disk_id) {
  auto begun = begin(Op::flush, BlockKey{disk_id, {}});
  const std::lock_guard lock(mutex_);
  auto disk = find(disk_id);
  if (!disk.ok()) return disk.error();
  if (!begun.ok()) (*disk)->failed = true;
  for (auto& [key, block] : (*disk)->blocks) {
    // After a failure the pages look clean though the medium lacks them, as the kernel has it.
    if ((*disk)->failed) {
      block.unflushed.clear();
      continue;
    }
    for (const std::uint32_t index : block.unflushed) reach_medium(block, index, true, true);
    block.unflushed.clear();
    block.durably_named = block.named;
  }
  if ((*disk)->failed) return Error{Code::io, "a flush of this disk failed"};
  return {};
}

Result<std::vector<Extent>> MemoryBlockStore::extents(BlockKey key) {
  auto begun = begin(Op::extents, key);
  if (!begun.ok()) return begun.error();
  const std::lock_guard lock(mutex_);
  auto disk = find(key.disk);
  if (!disk.ok()) return disk.error();
  std::vector<Extent> found;
  const auto block = (*disk)->blocks.find(key);
  if (block == (*disk)->blocks.end()) return found;
  std::set<std::uint32_t> held;  // by the data or by the checksums: damage must be read to be found
  for (const auto& [index, sector] : block->second.cached) held.insert(index);
  for (const auto& [index, sum] : block->second.sums) held.insert(index);
  for (const std::uint32_t index : held)
    append_extent(found, {index * sector_bytes, (index + 1) * sector_bytes});
  return found;
}

Result<std::vector<Extent>> MemoryBlockStore::check(BlockKey key, Extent range) {
  auto begun = begin(Op::read, key);
  if (!begun.ok()) return begun.error();
  const std::lock_guard lock(mutex_);
  auto disk = find(key.disk);
  if (!disk.ok()) return disk.error();
  auto checked = check_range(**disk, range.begin_bytes, range.end_bytes - range.begin_bytes);
  if (!checked.ok()) return checked.error();
  std::vector<Extent> found;
  const auto block = (*disk)->blocks.find(key);
  if (block == (*disk)->blocks.end()) return found;
  for (std::uint32_t i = range.begin_bytes / sector_bytes; i * sector_bytes < range.end_bytes; ++i)
    if (!fits(block->second, i)) append_extent(found, {i * sector_bytes, (i + 1) * sector_bytes});
  return found;
}

Result<std::uint32_t> MemoryBlockStore::accept(BlockKey key, Extent range) {
  auto bad = check(key, range);
  if (!bad.ok()) return bad.error();
  const std::lock_guard lock(mutex_);
  auto disk = find(key.disk);
  if (!disk.ok()) return disk.error();
  std::uint32_t accepted = 0;
  for (const Extent& extent : *bad) {
    Block& block = add(**disk, key);
    for (std::uint32_t at = extent.begin_bytes; at < extent.end_bytes; at += sector_bytes) {
      const auto sector = block.cached.find(at / sector_bytes);
      const auto sum = block.sums.find(at / sector_bytes);
      if (sum != block.sums.end() && sum->second == sum_of_loss) continue;
      put(block, at / sector_bytes, sector == block.cached.end() ? nullptr : sector->second);
      ++accepted;
    }
  }
  return accepted;
}

Result<> MemoryBlockStore::give_up(BlockKey key, Extent range) {
  auto begun = begin(Op::write, key);
  if (!begun.ok()) return begun;
  const std::lock_guard lock(mutex_);
  auto disk = find(key.disk);
  if (!disk.ok()) return disk.error();
  auto checked = check_range(**disk, range.begin_bytes, range.end_bytes - range.begin_bytes);
  if (!checked.ok()) return checked;
  Block& block = add(**disk, key);
  for (std::uint32_t i = range.begin_bytes / sector_bytes; i * sector_bytes < range.end_bytes;
       ++i) {
    block.sums[i] = sum_of_loss;
    block.unflushed.insert(i);
  }
  return {};
}

Result<std::optional<std::string>> MemoryBlockStore::load_file(DiskId disk_id,
                                                               std::string_view name) {
  auto begun = begin(Op::load_file, BlockKey{disk_id, {}});
  if (!begun.ok()) return begun.error();
  const std::lock_guard lock(mutex_);
  auto disk = find(disk_id);
  if (!disk.ok()) return disk.error();
  const auto at = (*disk)->files.find(name);
  if (at == (*disk)->files.end()) return std::optional<std::string>{};
  return std::optional<std::string>{at->second};
}

Result<> MemoryBlockStore::replace_file(DiskId disk_id, std::string_view name,
                                        std::string_view content) {
  auto begun = begin(Op::replace_file, BlockKey{disk_id, {}});
  if (!begun.ok()) return begun;
  const std::lock_guard lock(mutex_);
  auto disk = find(disk_id);
  if (!disk.ok()) return disk.error();
  (*disk)->files[std::string(name)] = content;
  return {};
}

Result<> MemoryBlockStore::append_file(DiskId disk_id, std::string_view name,
                                       std::string_view content) {
  auto begun = begin(Op::append_file, BlockKey{disk_id, {}});
  const std::lock_guard lock(mutex_);
  auto disk = find(disk_id);
  if (!disk.ok()) return disk.error();
  if (!begun.ok()) content = content.substr(0, content.size() / 2);
  (*disk)->files[std::string(name)] += content;
  return begun;
}

Result<StoreSpace> MemoryBlockStore::space() {
  const std::lock_guard lock(mutex_);
  const std::uint64_t used = sectors_ * sector_bytes;
  return StoreSpace{capacity_bytes_, capacity_bytes_ > used ? capacity_bytes_ - used : 0};
}

// -- faults

void MemoryBlockStore::cut(const std::function<bool()>& survives) {
  const std::lock_guard lock(mutex_);
  sectors_ = 0;
  for (auto& [id, disk] : disks_) {
    disk.failed = false;
    for (auto& [key, block] : disk.blocks) {
      for (const std::uint32_t index : block.unflushed) {
        const bool data = survives();
        const bool sum = survives();
        reach_medium(block, index, data, sum);
      }
      block.unflushed.clear();
      if (block.named && !block.durably_named && !survives()) {
        block.durable.clear();  // its name is gone, and what it held with it
        block.durable_sums.clear();
        block.named = false;
      } else if (block.durably_named && !block.named) {
        block.named = !block.durable.empty() || !block.durable_sums.empty();  // removed in vain
      }
      block.durably_named = block.named;
      block.cached = block.durable;
      block.sums = block.durable_sums;
      sectors_ += block.cached.size();
    }
  }
}

void MemoryBlockStore::power_cut() {
  cut([] { return false; });
}

void MemoryBlockStore::power_cut(std::uint64_t seed) {
  std::mt19937_64 random(seed);
  cut([&] { return (random() >> 63) != 0; });
}

void MemoryBlockStore::corrupt(BlockKey key, std::uint32_t offset_bytes) {
  const std::lock_guard lock(mutex_);
  Block& block = add(disks_.at(key.disk), key);
  const std::uint32_t index = offset_bytes / sector_bytes;
  for (Sectors* sectors : {&block.cached, &block.durable}) {
    const auto old = sectors->find(index);
    auto sector = std::make_shared<Sector>(old == sectors->end() ? Sector{} : *old->second);
    (*sector)[offset_bytes % sector_bytes] ^= std::byte{1};
    if (sectors == &block.cached && old == sectors->end()) ++sectors_;
    (*sectors)[index] = std::move(sector);
  }
}

void MemoryBlockStore::lose_data(BlockKey key) {
  const std::lock_guard lock(mutex_);
  Block& block = add(disks_.at(key.disk), key);
  sectors_ -= block.cached.size();
  block.cached.clear();
  block.durable.clear();
}

void MemoryBlockStore::restart_process() {
  const std::lock_guard lock(mutex_);
  for (auto& [id, disk] : disks_) disk.failed = false;
}

void MemoryBlockStore::fail_next(Op op, Code code, int count) {
  const std::lock_guard lock(mutex_);
  faults_[index_of(op)] = {code, count};
}

void MemoryBlockStore::stop_failing() {
  const std::lock_guard lock(mutex_);
  faults_ = {};
}

void MemoryBlockStore::set_cold(bool cold) {
  const std::lock_guard lock(mutex_);
  cold_ = cold;
}

void MemoryBlockStore::set_capacity(std::uint64_t capacity_bytes) {
  const std::lock_guard lock(mutex_);
  capacity_bytes_ = capacity_bytes;
}

void MemoryBlockStore::set_hook(std::function<void(Op, const BlockKey&)> hook) {
  const std::lock_guard lock(mutex_);
  hook_ = std::move(hook);
}

std::string MemoryBlockStore::contents(BlockKey key) const {
  const std::lock_guard lock(mutex_);
  const auto disk = disks_.find(key.disk);
  if (disk == disks_.end()) return {};
  std::string bytes(disk->second.block_size_bytes, '\0');
  const auto block = disk->second.blocks.find(key);
  if (block == disk->second.blocks.end()) return bytes;
  for (const auto& [index, sector] : block->second.cached)
    std::memcpy(bytes.data() + std::size_t{index} * sector_bytes, sector->data(), sector_bytes);
  return bytes;
}

std::vector<BlockKey> MemoryBlockStore::blocks(DiskId disk_id) const {
  const std::lock_guard lock(mutex_);
  std::vector<BlockKey> out;
  const auto disk = disks_.find(disk_id);
  if (disk == disks_.end()) return out;
  for (const auto& [key, block] : disk->second.blocks)
    if (is_there(block)) out.push_back(key);
  return out;
}

std::uint64_t MemoryBlockStore::calls(Op op) const {
  const std::lock_guard lock(mutex_);
  return calls_[index_of(op)];
}

}  // namespace ukai
