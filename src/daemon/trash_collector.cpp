// SPDX-License-Identifier: BSD-2-Clause
#include "daemon/trash_collector.h"

#include <algorithm>

#include "base/log.h"
#include "ukai/limits.h"

namespace ukai {
namespace {

using namespace std::chrono_literals;
constexpr Duration retry_min = 1s;  // of what cannot be deleted yet; then twice that
constexpr Duration retry_max = 10s;

}  // namespace

TrashCollector::TrashCollector(NodeId id, Catalog& catalog, Scheduler& scheduler, StorageNode& node,
                               WorkerPool& pool)
    : id_(std::move(id)),
      catalog_(catalog),
      scheduler_(scheduler),
      node_(node),
      pool_(pool),
      changed_(std::make_shared<Notifier>(scheduler)) {}

Task<void> TrashCollector::run() {
  watch_ = catalog_.coordination().watch(Catalog::trash_path(id_), true,
                                         [changed = changed_] { changed->notify(); });
  for (const DiskId& disk : node_.left_disks()) left_.insert(disk);
  Duration pause = retry_min;
  while (!stopping_) {
    const std::uint64_t ticket = changed_->ticket();
    const bool deleted = co_await delete_all();
    const bool cleared = co_await clear_left();
    if (deleted && cleared) {
      co_await changed_->wait(ticket, scheduler_.now() + limits::trash_interval);
    } else {
      co_await changed_->wait(ticket, scheduler_.now() + pause);
    }
    const bool news = changed_->ticket() != ticket;
    pause = news ? retry_min : std::min(pause * 2, retry_max);
  }
  watch_.reset();
}

void TrashCollector::stop() {
  stopping_ = true;
  changed_->notify();
}

Task<Result<>> TrashCollector::on_pool(std::function<Result<>()> work) {
  OneShot<Result<>> done;
  pool_.post([done, work = std::move(work)] { done.resolve(work()); });
  co_return co_await done;
}

/// False: something is left.
Task<bool> TrashCollector::delete_all() {
  auto orders = co_await catalog_.trash_of(id_);
  if (!orders) {
    log::debug("event=trash_unread reason=\"{}\"", orders.error().what);
    co_return false;
  }
  bool all = true;
  for (const Catalog::Trash& order : *orders) {
    auto deleted = co_await delete_one(order);
    if (deleted) {
      log::info("event={} disk={} name=\"{}\"",
                order.record.has_versions()     ? "versions_deleted"
                : order.record.blocks().empty() ? "disk_deleted"
                                                : "blocks_deleted",
                order.record.disk_id(), order.record.disk_name());
    } else if (deleted.failed_with(Code::busy)) {
      all = false;  // a holder has reads under way
    } else {
      log::warn("event=disk_not_deleted disk={} reason=\"{}\"", order.key, deleted.error().what);
      all = false;
    }
  }
  co_return all;
}

Task<Result<>> TrashCollector::delete_one(Catalog::Trash order) {
  if (!order.damage.empty()) co_return Error{Code::corrupt, order.damage};
  auto disk = DiskId::parse(order.record.disk_id());
  if (!disk) co_return disk.error();
  const bool whole = order.record.blocks().empty() && !order.record.has_versions();
  if (!whole) {
    const bool over = co_await lease_is_over(order, *disk);
    if (over) order.record.set_released(true);
  }
  std::function<Result<>()> deletes = [this, whole, disk = *disk, record = order.record] {
    return whole ? node_.delete_disk(disk) : node_.delete_blocks(record);
  };
  auto outcome = co_await on_pool(std::move(deletes));
  if (!outcome) co_return outcome;
  if (!order.record.blocks().empty()) left_.insert(*disk);
  waiting_.erase(order.key);
  co_return co_await catalog_.remove_trash(id_, order.key);
}

/// The lease under which blocks were taken off has been seen gone for so long that whoever held it
/// has stopped by its own clock.
Task<bool> TrashCollector::lease_is_over(Catalog::Trash order, DiskId disk) {
  if (order.record.released()) co_return true;
  auto lease = co_await catalog_.lease_of(disk);
  if (!lease) co_return false;
  if (*lease && (*lease)->record.epoch() == order.record.epoch()) {
    waiting_.erase(order.key);
    co_return false;
  }
  const auto since = waiting_.try_emplace(order.key, scheduler_.now()).first->second;
  co_return scheduler_.now() - since > limits::lease_end_patience;
}

Task<TrashCollector::Standing> TrashCollector::standing_towards(DiskId disk) {
  auto entry = co_await catalog_.load_disk(disk);
  if (entry.failed_with(Code::not_found)) co_return Standing::none;
  if (!entry) co_return Standing::unknown;
  for (const pb::Member& member : entry->record.members()) {
    if (member.node() == id_.str()) co_return member.gone() ? Standing::leaving : Standing::member;
  }
  co_return Standing::none;
}

/// False: one of them may be cleared later.
Task<bool> TrashCollector::clear_left() {
  bool all = true;
  const std::set<DiskId> left = left_;
  for (const DiskId& disk : left) {
    const Standing standing = co_await standing_towards(disk);
    if (standing == Standing::leaving || standing == Standing::unknown) {
      all = false;
      continue;
    }
    left_.erase(disk);
    if (standing == Standing::member) continue;
    std::function<Result<>()> deletes = [this, disk] { return node_.delete_left(disk); };
    auto cleared = co_await on_pool(std::move(deletes));
    if (cleared) log::info("event=disk_left disk={}", disk.to_string());
  }
  co_return all;
}

}  // namespace ukai
