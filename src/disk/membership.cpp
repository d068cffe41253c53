// SPDX-License-Identifier: BSD-2-Clause
#include "disk/membership.h"

#include <fmt/format.h>

#include <algorithm>

#include "base/log.h"
#include "ukai/disk_change.h"
#include "ukai/location_change.h"
#include "ukai/snapshot_change.h"

namespace ukai {
namespace {

using namespace std::chrono_literals;
constexpr Duration metadata_pause = 100ms;

bool begins_with(const std::vector<std::string>& all, const std::vector<std::string>& begin) {
  return all.size() >= begin.size() && std::equal(begin.begin(), begin.end(), all.begin());
}

pb::EventRecord change_event(const pb::ChangeDiskRequest& request) {
  pb::EventRecord event;
  event.set_who(request.asked_by());
  if (request.has_delete_snapshot()) {
    event.set_what("snapshot_deleted");
    event.set_text(request.delete_snapshot());
  } else if (request.has_rollback()) {
    event.set_what("disk_rolled_back");
    event.set_text("to " + request.rollback());
  }
  return event;
}

}  // namespace

void Membership::adopt(DiskEntry entry) {
  {
    std::lock_guard lock(core_.mutex);
    core_.adopt_locked(std::move(entry));
  }
  core_.changed.notify();
}

std::vector<std::string> Membership::member_names() {
  std::lock_guard lock(core_.mutex);
  return core_.members.names();
}

/// The record was not as we knew it. Either the lease is gone, which ends our service, or a change
/// of ours had an outcome we did not hear of: take what is there.
Task<Result<Membership::Retry>> Membership::after_stale() {
  for (;;) {
    if (auto reason = core_.stop_reason()) co_return *reason;
    auto stands = co_await core_.services.catalog.lease_stands(core_.lease);
    if (stands.ok() && !*stands) {
      const Error lost{Code::stale, "the lease of this disk went to somebody else"};
      core_.stop(lost);
      co_return lost;
    }
    if (stands.ok()) {
      auto entry = co_await core_.services.catalog.load_disk(core_.id);
      if (entry.ok() && !begins_with(MemberTable(entry->record).names(), member_names())) {
        // A node was dropped and we did not hear that it was done.
        const Error over{Code::stale, "the members of this disk have changed"};
        core_.stop(over);
        co_return over;
      }
      if (entry.ok()) {
        adopt(*entry);
        co_return Retry::yes;
      }
      if (entry.failed_with(Code::corrupt)) co_return entry.error();
    }
    co_await sleep_for(core_.services.scheduler, metadata_pause);
  }
}

Task<void> Membership::verify_lease() {
  auto stands = co_await core_.services.catalog.lease_stands(core_.lease);
  if (stands.ok() && !*stands) {
    core_.stop(Error{Code::stale, "the lease of this disk went to somebody else"});
  }
}

Task<Result<Membership::Retry>> Membership::commit(DiskEntry base, pb::DiskRecord changed,
                                                   std::vector<SegmentEntry> segments,
                                                   pb::EventRecord event,
                                                   std::vector<Catalog::Order> orders) {
  for (;;) {
    if (auto reason = core_.stop_reason()) co_return *reason;
    auto done = co_await core_.services.catalog.update_disk_and_map(core_.lease, base, changed,
                                                                    segments, event, orders);
    if (done.ok()) {
      adopt(*done);
      co_return Retry::no;
    }
    const Code code = done.code();
    if (code == Code::stale) co_return co_await after_stale();
    if (code != Code::unreachable && code != Code::unknown) co_return done.error();
    // Not bounded by io_wait: what was promised to the guest depends on this record.
    co_await sleep_for(core_.services.scheduler, metadata_pause);
  }
}

Task<Result<>> Membership::ensure_missing(std::vector<std::size_t> which, std::string reason) {
  auto guard = co_await core_.record_mutex.lock();
  for (;;) {
    DiskEntry base;
    pb::DiskRecord changed;
    bool news = false;
    {
      std::lock_guard lock(core_.mutex);
      base = core_.entry;
      changed = base.record;
      for (std::size_t index : which) {
        if (core_.members.gone(index)) continue;  // taken off meanwhile: it need not have anything
        // Who may have become present, as far as anybody else can tell, is recorded once more.
        if (core_.members.missing(index) && !core_.replicas[index]->presenting) continue;
        news = true;
        const Sequence sequence{++core_.last_sequence};
        changed = with_missing(std::move(changed), core_.replicas[index]->node, core_.lease.epoch,
                               sequence, reason);
      }
    }
    if (!news) co_return Unit{};
    std::vector<SegmentEntry> none;
    auto done = co_await commit(base, changed, none);
    if (!done) co_return done.error();
    for (std::size_t index : which) {
      std::lock_guard lock(core_.mutex);
      Replica& replica = *core_.replicas[index];
      replica.presenting = replica.presenting && *done != Retry::no;
      if (core_.members.missing(index) && replica.state == Replica::State::open) {
        replica.state = Replica::State::closed;  // present again only under a new session
      }
    }
    if (*done == Retry::no) {
      for (std::size_t index : which) {
        log::warn("event=member_missing disk={} node={} reason=\"{}\"", base.record.name(),
                  core_.replicas[index]->node.str(), reason);
      }
      core_.changed.notify();
    }
  }
}

Task<Result<>> Membership::settle(std::vector<Testimony> said) {
  auto guard = co_await core_.record_mutex.lock();
  for (;;) {
    DiskEntry base;
    {
      std::lock_guard lock(core_.mutex);
      base = core_.entry;
      // Whoever goes missing from now on goes later than those that are found out to be behind.
      core_.last_sequence = std::max<std::uint64_t>(core_.last_sequence, core_.replicas.size());
    }
    if (!base.record.unproven()) co_return Unit{};
    auto settled = settle_members(base.record, said, core_.lease.epoch);
    if (!settled) co_return settled.error();
    std::vector<SegmentEntry> none;
    auto done = co_await commit(base, *settled, none);
    if (!done) co_return done.error();
    if (*done == Retry::yes) continue;
    log::warn("event=members_settled disk={} mask={:#x}", settled->name(),
              MemberTable(*settled).missing_mask());
    co_return Unit{};
  }
}

Task<Result<>> Membership::begin_guest() {
  auto guard = co_await core_.record_mutex.lock();
  for (;;) {
    DiskEntry base;
    {
      std::lock_guard lock(core_.mutex);
      base = core_.entry;
    }
    pb::DiskRecord changed = base.record;
    changed.set_guest_epoch(raw(core_.lease.epoch));
    std::vector<SegmentEntry> none;
    auto done = co_await commit(base, changed, none);
    if (!done) co_return done.error();
    if (*done == Retry::no) co_return Unit{};
  }
}

Task<Result<>> Membership::mark_present(std::size_t index) {
  auto guard = co_await core_.record_mutex.lock();
  for (;;) {
    DiskEntry base;
    pb::DiskRecord changed;
    {
      std::lock_guard lock(core_.mutex);
      Replica& replica = *core_.replicas[index];
      if (!core_.members.missing(index)) co_return Unit{};
      if (replica.state != Replica::State::open || !replica.healing) {
        co_return Error{Code::busy, "the node failed again while it was healed"};
      }
      base = core_.entry;
      changed = with_present(base.record, replica.node);
      replica.presenting = true;
    }
    std::vector<SegmentEntry> none;
    auto done = co_await commit(base, changed, none);
    if (!done) co_return done.error();  // and it may be present all the same
    std::lock_guard lock(core_.mutex);
    core_.replicas[index]->presenting = false;
    if (*done == Retry::no) co_return Unit{};
  }
}

Task<Result<std::vector<SegmentEntry>>> Membership::grown_segments(pb::DiskRecord from,
                                                                   pb::DiskRecord to) {
  const Geometry before{from.size(), from.block_size()};
  const Geometry after{to.size(), to.block_size()};
  std::vector<SegmentEntry> out;
  if (before.size_bytes == after.size_bytes) co_return out;
  const auto last_index = static_cast<std::uint32_t>(before.segment_count() - 1);
  auto last = co_await core_.services.catalog.load_segment(core_.id, last_index);
  if (!last) co_return last.error();
  for (pb::MapSegment& segment : grow_map(last->segment, before, after)) {
    const bool there = segment.segment() == last_index;
    out.push_back({std::move(segment), there ? last->version : -1});
  }
  co_return out;
}

Task<Result<pb::DiskRecord>> Membership::change(pb::ChangeDiskRequest request) {
  auto guard = co_await core_.record_mutex.lock();
  for (bool tried = false;; tried = true) {
    DiskEntry base;
    {
      std::lock_guard lock(core_.mutex);
      base = core_.entry;
    }
    auto changed = apply_change(base.record, request);
    if (tried && changed.failed_with(Code::not_found)) co_return base.record;  // it was done
    if (!changed) co_return changed.error();
    auto segments = co_await grown_segments(base.record, *changed);
    if (!segments) co_return segments.error();
    if (!segments->empty()) {
      auto last = co_await core_.services.catalog.load_segment(core_.id,
                                                               segments->front().segment.segment());
      if (!last) co_return last.error();
      std::vector<pb::MapSegment> grown;
      for (const SegmentEntry& entry : *segments) grown.push_back(entry.segment);
      changed = with_pending(*changed, {last->segment}, grown);
    }
    pb::EventRecord event = change_event(request);
    std::vector<Catalog::Order> orders;
    if (request.has_delete_snapshot()) orders = version_orders(*changed);
    auto done = co_await commit(base, *changed, *segments, event, orders);
    if (!done) co_return done.error();
    if (*done == Retry::yes) continue;
    if (!orders.empty()) core_.tasks.spawn(release(std::move(orders)));
    co_return *changed;
  }
}

Task<Result<pb::DiskRecord>> Membership::edit(Edit change, pb::EventRecord event) {
  auto guard = co_await core_.record_mutex.lock();
  std::vector<SegmentEntry> none;
  for (;;) {
    DiskEntry base;
    {
      std::lock_guard lock(core_.mutex);
      base = core_.entry;
    }
    auto changed = change(base.record);
    if (!changed) co_return changed.error();
    if (changed->SerializeAsString() == base.record.SerializeAsString()) co_return *changed;
    auto done = co_await commit(base, *changed, none, event);
    if (!done) co_return done.error();
    if (*done == Retry::no) co_return *changed;
  }
}

Task<Result<>> Membership::reserve_generation() {
  Edit change = [this](pb::DiskRecord record) -> Result<pb::DiskRecord> {
    std::lock_guard lock(core_.mutex);
    return with_next_generation(std::move(record), core_.head);
  };
  pb::EventRecord event;
  auto done = co_await edit(std::move(change), event);
  if (!done) co_return done.error();
  co_return Unit{};
}

Task<Result<pb::DiskRecord>> Membership::add_snapshot(pb::Snapshot snapshot, std::string asked_by) {
  pb::EventRecord event;
  event.set_what("snapshot_created");
  event.set_who(std::move(asked_by));
  event.set_text(snapshot.name());
  Edit change = [snapshot](pb::DiskRecord record) -> Result<pb::DiskRecord> {
    const pb::Snapshot* there = find_snapshot(record, snapshot.name());
    // Ours, when the answer to an earlier try was lost.
    if (there != nullptr && there->generation() == snapshot.generation()) return record;
    return with_snapshot(std::move(record), snapshot);
  };
  return edit(std::move(change), std::move(event));
}

std::vector<Catalog::Order> Membership::version_orders(const pb::DiskRecord& changed) {
  std::vector<Catalog::Order> out;
  std::lock_guard lock(core_.mutex);
  for (std::size_t i = 0; i < core_.members.size(); ++i) {
    if (core_.members.gone(i)) continue;
    Catalog::Order order;
    order.node = core_.members.node(i);
    order.key = changed.id() + "-" + DiskId::random().to_string();
    order.record = order_to_delete_versions(changed, core_.head);
    order.record.set_epoch(raw(core_.lease.epoch));
    out.push_back(std::move(order));
  }
  return out;
}

Task<void> Membership::collect_versions() {
  pb::DiskRecord record;
  {
    std::lock_guard lock(core_.mutex);
    record = core_.entry.record;
  }
  auto orders = version_orders(record);
  const auto left = co_await leave_orders(orders);
  if (left.ok()) core_.tasks.spawn(release(std::move(orders)));
}

Task<Result<>> Membership::leave_orders(std::vector<Catalog::Order> orders) {
  auto guard = co_await core_.record_mutex.lock();
  std::vector<SegmentEntry> none;
  pb::EventRecord event;
  for (;;) {
    DiskEntry base;
    {
      std::lock_guard lock(core_.mutex);
      base = core_.entry;
    }
    const pb::DiskRecord same = base.record;
    auto done = co_await commit(base, same, none, event, orders);
    if (!done) co_return done.error();
    if (*done == Retry::no) co_return Unit{};
  }
}

}  // namespace ukai
