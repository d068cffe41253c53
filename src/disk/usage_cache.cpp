// SPDX-License-Identifier: BSD-2-Clause
#include "disk/usage_cache.h"

#include <algorithm>

#include "base/async.h"
#include "ukai/block_map.h"

namespace ukai {
namespace {

using namespace std::chrono_literals;
constexpr Duration keep = 5s;
constexpr Duration patience = 200ms;
constexpr std::size_t disks_max = 10'000;

}  // namespace

Task<std::uint64_t> UsageCache::ask(pb::DiskRecord record) {
  std::vector<Task<Result<pb::DiskUsageReply>>> asking;
  for (const pb::Member& member : record.members()) {
    const auto found = nodes_.find(NodeId(member.node()));
    if (!found || !found->link || !found->alive) continue;
    pb::DiskUsageRequest request;
    request.set_disk_id(record.id());
    const Result<pb::DiskUsageReply> late = Error{Code::unreachable, "no answer"};
    asking.push_back(within(scheduler_, patience, found->link->disk_usage(request), late));
  }
  const auto replies = co_await gather(std::move(asking));
  std::uint64_t total = 0;
  std::uint64_t answers = 0;
  for (const auto& reply : replies) {
    if (!reply.ok()) continue;
    total += reply->allocated_bytes();
    ++answers;
  }
  if (answers == 0) co_return record.size();
  std::uint64_t copies = 0;
  {
    std::lock_guard lock(mutex_);
    if (const auto found = copies_.find(record.id()); found != copies_.end())
      copies = found->second;
  }
  if (copies == 0) {
    const auto id = DiskId::parse(record.id());
    if (!id) co_return record.size();
    auto segment = co_await catalog_.load_segment(*id, 0);
    const bool usable = segment.ok() && segment->segment.sets_size() > 0;
    copies = usable ? static_cast<std::uint64_t>(segment->segment.sets(0).nodes_size()) : 1;
    std::lock_guard lock(mutex_);
    if (copies_.size() > disks_max) copies_.clear();
    copies_[record.id()] = copies;
  }
  // Who did not answer is taken to hold as much as the others do.
  const auto members = static_cast<std::uint64_t>(record.members_size());
  co_return total* members / answers / std::max<std::uint64_t>(copies, 1);
}

Task<std::uint64_t> UsageCache::allocated_bytes(pb::DiskRecord record) {
  {
    std::lock_guard lock(mutex_);
    const auto found = known_.find(record.id());
    if (found != known_.end() && scheduler_.now() < found->second.until) {
      co_return std::min(found->second.allocated_bytes, record.size());
    }
  }
  const std::uint64_t asked = co_await ask(record);
  // Never 0: archivers take a file without blocks for one big hole and do not read it.
  const std::uint64_t bytes = std::clamp<std::uint64_t>(asked, 512, record.size());
  std::lock_guard lock(mutex_);
  if (known_.size() > disks_max) known_.clear();
  known_[record.id()] = {bytes, scheduler_.now() + keep};
  co_return bytes;
}

Task<Result<StoreSpace>> UsageCache::space() {
  {
    std::lock_guard lock(mutex_);
    if (scheduler_.now() < space_until_) co_return space_;
  }
  auto nodes = co_await catalog_.nodes();
  if (!nodes) co_return nodes.error();
  StoreSpace total;
  for (const NodeInfo& node : *nodes) {
    if (!node.alive) continue;
    total.capacity_bytes += node.record.capacity_bytes();
    total.free_bytes += node.alive->free_bytes();
  }
  std::lock_guard lock(mutex_);
  space_ = total;
  space_until_ = scheduler_.now() + keep;
  co_return total;
}

}  // namespace ukai
