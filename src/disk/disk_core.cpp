// SPDX-License-Identifier: BSD-2-Clause
#include "disk/disk_core.h"

#include <fmt/format.h>

#include <algorithm>

#include "base/log.h"
#include "ukai/history.h"

namespace ukai {

DiskCore::DiskCore(DiskServices given_services, DiskOptions given_options, Catalog::Taken taken,
                   const Owed& owed)
    : services(given_services),
      options(std::move(given_options)),
      lease(taken.lease),
      id(taken.lease.disk),
      owed_map(owed.map),
      block_size_bytes(taken.entry.record.block_size()),
      changed(services.scheduler),
      locks(services.scheduler),
      map(services.catalog, id),
      size_bytes(taken.entry.record.size()),
      entry(std::move(taken.entry)),
      members(entry.record) {
  head = Generation{entry.record.generation()};
  announced_bytes = entry.record.size();
  writes_lost = owed.writes_lost;
  replicas.reserve(limits::disk_nodes_max);
  add_replicas_locked();
  for (const auto& replica : replicas) {
    if (const auto last = owed.nodes.find(replica->node); last != owed.nodes.end()) {
      replica->boot_id = last->second.boot_id;
      replica->changes_acked = last->second.unflushed ? 1 : 0;
      replica->lost_writes = last->second.lost_writes;
    }
  }
}

void DiskCore::add_replicas_locked() {
  for (std::size_t i = replicas.size(); i < members.size(); ++i) {
    auto replica = std::make_unique<Replica>();
    replica->node = members.node(i);
    replica->index = i;
    replicas.push_back(std::move(replica));
  }
}

void DiskCore::adopt_locked(DiskEntry taken) {
  entry = std::move(taken);
  size_bytes = entry.record.size();
  members = MemberTable(entry.record);
  const std::size_t known = replicas.size();
  add_replicas_locked();
  // A member that is new has nothing of an earlier holder's to flush.
  for (std::size_t i = known; i < replicas.size(); ++i) replicas[i]->changes_flushed = 1;
}

std::size_t DiskCore::member_count() {
  std::lock_guard lock(mutex);
  return replicas.size();
}

std::string DiskCore::name() {
  std::lock_guard lock(mutex);
  return entry.record.name();
}

Sequence DiskCore::next_sequence() {
  std::lock_guard lock(mutex);
  return Sequence{++last_sequence};
}

pb::History DiskCore::history_locked() const {
  std::vector<Generation> more = freezing;
  more.push_back(head);
  return history_of(entry.record, more);
}

Owed DiskCore::owed() {
  Owed out;
  out.map = changed_map();
  std::lock_guard lock(mutex);
  out.writes_lost = writes_lost;
  for (const auto& replica : replicas) {
    out.nodes[replica->node] = {.boot_id = replica->boot_id,
                                .unflushed = replica->changes_acked > replica->changes_flushed,
                                .lost_writes = replica->lost_writes};
  }
  return out;
}

std::vector<MapCache::View> DiskCore::changed_map() const {
  auto out = map.loaded();
  for (const MapCache::View& view : owed_map) {
    const bool known = std::any_of(out.begin(), out.end(), [&](const MapCache::View& other) {
      return other->blocks().begin == view->blocks().begin;
    });
    if (!known) out.push_back(view);
  }
  return out;
}

std::optional<Error> DiskCore::stop_reason() {
  std::lock_guard lock(mutex);
  return stopped;
}

void DiskCore::stop(Error error) {
  {
    std::lock_guard lock(mutex);
    if (stopped) return;
    stopped = std::move(error);
  }
  changed.notify();
}

pb::SessionRef DiskCore::ref(const Replica& replica) const {
  pb::SessionRef out;
  out.set_disk_id(id.to_string());
  out.set_epoch(raw(lease.epoch));
  out.set_session(raw(replica.session));
  return out;
}

void DiskCore::session_failed(std::size_t index, Session session, const Error& error) {
  std::string disk_name;
  {
    std::lock_guard lock(mutex);
    Replica& replica = *replicas[index];
    replica.last_error = error.what;
    if (replica.state != Replica::State::open || replica.session != session) return;
    replica.state = Replica::State::closed;
    replica.healing = false;
    replica.heal_left = 0;
    disk_name = entry.record.name();
  }
  log::warn("event=session_failed disk={} node={} code={} what=\"{}\"", disk_name,
            replicas[index]->node.str(), to_string(error.code), error.what);
  services.errors.add(replicas[index]->node.str(), disk_name, error.what);
  changed.notify();
}

}  // namespace ukai
