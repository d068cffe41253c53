// SPDX-License-Identifier: BSD-2-Clause
#include "disk/snapshots.h"

#include <fmt/format.h>

#include <algorithm>

#include "base/log.h"
#include "base/unix_time.h"
#include "ukai/snapshot_change.h"

namespace ukai {
namespace {

using namespace std::chrono_literals;
constexpr ByteRange everything{0, UINT64_MAX};
constexpr Duration rollback_patience = 10s;  // nobody has the disk open

Task<std::optional<NodeId>> clone_on(DiskCore& core, std::size_t index, Session session,
                                     std::shared_ptr<NodeLink> link, pb::CloneRequest request) {
  auto reply = co_await link->clone(std::move(request));
  if (reply.ok()) co_return core.replicas[index]->node;
  log::warn("event=clone_failed disk={} node={} what=\"{}\"", core.name(),
            core.replicas[index]->node.str(), reply.error().what);
  if (ends_session(reply.code())) core.session_failed(index, session, reply.error());
  co_return std::nullopt;
}

}  // namespace

/// Nodes keep what the head sees from here on, though it has no name yet.
Task<Result<>> Snapshots::prepare() {
  auto reserved = co_await membership_.reserve_generation();
  if (!reserved) co_return reserved;
  {
    std::lock_guard lock(core_.mutex);
    core_.freezing.push_back(core_.head);
  }
  // Who cannot be told has lost its session by that, and hears of it with the next one.
  static_cast<void>(co_await connector_.tell_missing());
  co_return co_await flusher_.make_durable();
}

Task<RangeLocks::Guard> Snapshots::hold(TimePoint until) {
  const Duration patience = std::max<Duration>(until - core_.now(), Duration::zero());
  return core_.locks.acquire(everything, RangeLocks::Mode::exclusive, patience);
}

/// A copy under way may have seen less than all of a block's versions: it begins anew.
Generation Snapshots::switch_over() {
  std::lock_guard lock(core_.mutex);
  const Generation frozen = std::exchange(core_.head, Generation{core_.entry.record.generation()});
  for (const auto& replica : core_.replicas) {
    if (!replica->presenting) replica->healing = false;
  }
  for (const auto& arrival : core_.arrivals) {
    if (!arrival->committing) arrival->failed = true;
  }
  return frozen;
}

Task<Result<>> Snapshots::seal() {
  core_.changed.notify();
  return flusher_.make_durable();
}

Task<void> Snapshots::let_go(bool named) {
  {
    std::lock_guard lock(core_.mutex);
    core_.freezing.clear();
  }
  if (named) co_return;
  static_cast<void>(co_await connector_.tell_missing());
  co_await membership_.collect_versions();
}

Task<Result<pb::DiskRecord>> Snapshots::name(Generation frozen, std::string name,
                                             std::string asked_by) {
  pb::Snapshot snapshot;
  snapshot.set_name(std::move(name));
  snapshot.set_generation(raw(frozen));
  snapshot.set_size(core_.geometry().size_bytes);
  snapshot.set_created_unix_s(unix_now_s());
  return membership_.add_snapshot(std::move(snapshot), std::move(asked_by));
}

Task<Result<pb::DiskRecord>> Snapshots::remove(pb::ChangeDiskRequest request) {
  auto turn = co_await core_.snapshot_mutex.lock();
  auto changed = co_await membership_.change(std::move(request));
  if (changed.ok()) static_cast<void>(co_await connector_.tell_missing());
  co_return changed;
}

/// Nodes know of the branch before anything is read or written that belongs to it.
Task<Result<pb::DiskRecord>> Snapshots::roll_back(pb::ChangeDiskRequest request) {
  auto turn = co_await core_.snapshot_mutex.lock();
  auto guard =
      co_await core_.locks.acquire(everything, RangeLocks::Mode::exclusive, rollback_patience);
  if (!guard.holds()) co_return Error{Code::busy, "a change of the disk does not end"};
  auto changed = co_await membership_.change(std::move(request));
  if (!changed) co_return changed;
  static_cast<void>(switch_over());
  static_cast<void>(co_await connector_.tell_missing());
  core_.changed.notify();
  co_await membership_.collect_versions();
  co_return changed;
}

Task<std::set<NodeId>> Snapshots::clone_on_nodes(const std::string& made, Generation frozen) {
  std::vector<Task<std::optional<NodeId>>> asking;
  {
    std::lock_guard lock(core_.mutex);
    for (const auto& replica : core_.replicas) {
      const bool usable = replica->state == Replica::State::open &&
                          !core_.members.gone(replica->index) &&
                          !core_.members.missing(replica->index);
      if (!usable) continue;
      pb::CloneRequest request;
      *request.mutable_ref() = core_.ref(*replica);
      request.set_generation(raw(frozen));
      request.set_new_disk_id(made);
      asking.push_back(
          clone_on(core_, replica->index, replica->session, replica->link, std::move(request)));
    }
  }
  const auto answers = co_await gather(std::move(asking));
  std::set<NodeId> out;
  for (const auto& node : answers) {
    if (node) out.insert(*node);
  }
  co_return out;
}

Task<void> Snapshots::take_back(const std::string& made, std::string name,
                                const std::set<NodeId>& nodes) {
  std::vector<Catalog::Order> orders;
  for (const NodeId& node : nodes) {
    Catalog::Order order;
    order.node = node;
    order.key = made;
    order.record.set_disk_id(made);
    order.record.set_disk_name(name);
    orders.push_back(std::move(order));
  }
  static_cast<void>(co_await membership_.leave_orders(std::move(orders)));
}

Task<Result<pb::DiskRecord>> Snapshots::clone(pb::CloneDiskRequest request, Generation frozen,
                                              std::uint64_t size_bytes) {
  const std::set<NodeId> made_on = co_await clone_on_nodes(request.new_disk_id(), frozen);
  auto entries = co_await membership_.load_all_segments(core_.geometry());
  Result<Clone> clone = Error{Code::io, ""};
  if (entries.ok()) {
    std::vector<pb::MapSegment> segments;
    for (const SegmentEntry& entry : *entries) segments.push_back(entry.segment);
    pb::DiskRecord record;
    record.set_id(request.new_disk_id());
    record.set_name(request.new_name());
    record.set_size(size_bytes);
    record.set_created_unix_s(unix_now_s());
    std::lock_guard lock(core_.mutex);
    const std::string& name = core_.entry.record.name();
    record.set_clone_of(request.snapshot().empty() ? name : name + "@" + request.snapshot());
    clone = clone_of(std::move(record), core_.entry.record, segments, made_on);
  } else {
    clone = entries.error();
  }
  Result<> created = clone.ok() ? Result<>() : Result<>(clone.error());
  if (clone.ok()) {
    created = co_await core_.services.catalog.create_disk(clone->record, clone->segments);
  }
  if (created.ok()) co_return clone->record;
  // Not known: it may be there, and must keep its data.
  if (!created.failed_with(Code::unknown)) {
    co_await take_back(request.new_disk_id(), request.new_name(), made_on);
  }
  co_return created.error();
}

}  // namespace ukai
