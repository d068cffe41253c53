// SPDX-License-Identifier: BSD-2-Clause
//
// How sessions begin on a storage node, and who is missing while they last.
#include <fmt/format.h>

#include <set>

#include "base/log.h"
#include "node/node_core.h"
#include "ukai/limits.h"

namespace ukai {
namespace {

Error invalid(std::string text) { return Error{Code::invalid, std::move(text)}; }

Result<MemberView> member_view(const google::protobuf::RepeatedPtrField<std::string>& names,
                               std::uint64_t missing_mask) {
  MemberView view{{names.begin(), names.end()}, missing_mask};
  if (view.names.size() > limits::disk_nodes_max)
    return invalid(fmt::format("{} members are over the limit of {}", view.names.size(),
                               limits::disk_nodes_max));
  std::set<std::string> once;
  for (const std::string& name : view.names) {
    auto id = parse_id(name, "node");
    if (!id.ok()) return id.error();
    if (!once.insert(name).second) return invalid(fmt::format("member {} is named twice", name));
  }
  if (view.names.size() < 64 && (missing_mask >> view.names.size()) != 0)
    return invalid(fmt::format("missing mask {:#x} names more than {} members", missing_mask,
                               view.names.size()));
  return view;
}

Result<> check_fence(const pb::FenceRequest& request, const std::string& cluster_id) {
  if (request.cluster_id() != cluster_id)
    return Error{Code::refused, fmt::format("this node belongs to cluster {}, the holder to {}",
                                            cluster_id, request.cluster_id())};
  if (request.ref().epoch() == 0 || request.ref().session() == 0)
    return invalid("a fence needs an epoch and a session");
  if (request.generation() == 0) return invalid("a fence needs a generation");
  auto geometry = make_geometry(request.size(), request.block_size());
  if (!geometry.ok()) return geometry.error();
  return {};
}

}  // namespace

Result<pb::FenceReply> NodeCore::fence(const pb::FenceRequest& request) {
  auto id = disk_id_of(request.ref().disk_id());
  if (!id.ok()) return id.error();
  auto checked = check_fence(request, options_.cluster_id);
  if (!checked.ok()) return checked.error();
  auto members = member_view(request.members(), request.missing_mask());
  if (!members.ok()) return members.error();
  auto history = request.has_history() ? History::from(request.history()) : History();
  if (!history.ok()) return history.error();
  const DiskRef disk = find_or_add(*id);
  // Waits for whatever is being applied; nothing new begins meanwhile.
  const std::unique_lock pass(disk->gate);
  auto reply = fence_locked(disk, request);
  if (reply.ok()) {
    disk->history = *history;
    disk->kept = kept_in(request.history());
    look_for_hidden(disk);
  }
  if (!reply.ok() && reply.code() != Code::stale) complain(*disk, reply.error());
  return reply;
}

pb::FenceReply NodeCore::fence_reply(const SessionRecord& record, Epoch epoch_before) const {
  pb::FenceReply reply;
  reply.set_boot_id(options_.boot_id);
  reply.set_incarnation(options_.incarnation);
  reply.set_crashed(record.crashed || record.flush_failed);
  reply.set_last_epoch(raw(epoch_before));
  return reply;
}

Result<pb::FenceReply> NodeCore::fence_locked(const DiskRef& disk_ref,
                                              const pb::FenceRequest& request) {
  DiskState& disk = *disk_ref;
  if (disk.deleted) return not_served(disk.id);
  // 1. Is it newer than all that was seen?
  auto loaded = disk.load_session();
  if (!loaded.ok()) return loaded.error();
  const Epoch epoch{request.ref().epoch()};
  const Session session{request.ref().session()};
  const SessionRecord before = disk.record;
  if (epoch < before.epoch || (epoch == before.epoch && session <= before.session))
    return Error{Code::stale,
                 fmt::format("disk {}: fence with epoch {} session {}, this node has seen {} "
                             "session {}",
                             request.disk_name(), raw(epoch), raw(session), raw(before.epoch),
                             raw(before.session))};
  auto opened = store_.open_disk(disk.id, request.block_size());
  if (!opened.ok()) return opened.error();
  loaded = disk.load_log();
  if (!loaded.ok()) return loaded.error();

  // 2. The old session is over whatever happens from here on. What was active when the machine
  //    crashed, or when a flush failed, may hold less than was acknowledged.
  disk.admitted = false;
  const bool rebooted = before.boot_id != options_.boot_id;
  SessionRecord record = before;
  record.epoch = epoch;
  record.session = session;
  record.generation = std::max(before.generation, Generation{request.generation()});
  record.boot_id = options_.boot_id;
  record.left = false;
  if (rebooted && (disk.log.counts().active > 0 || before.flush_failed)) record.crashed = true;
  if (!request.survey()) {
    if (parse_disk_name(request.disk_name())) record.name = request.disk_name();
    record.size_bytes = request.size();
    record.members = {request.members().begin(), request.members().end()};
  }
  if (rebooted) record.flush_failed = false;  // the page cache that lied is gone
  auto saved = disk.save_session(record);
  if (!saved.ok()) return saved.error();

  disk.copies.reset();
  disk.retired.clear();
  pb::FenceReply reply = fence_reply(record, before.epoch);
  if (request.survey()) {
    for (const std::string& member : disk.log.accused()) reply.add_accused(member);
    reply.set_active_count(disk.log.counts().active);
    return reply;
  }

  // 3. Who is missing now lacks what may be in flight; who is not has been healed.
  const MemberView members{{request.members().begin(), request.members().end()},
                           request.missing_mask()};
  auto folded = disk.log.start_session(members);
  if (!folded.ok()) return folded.error();
  if (record.crashed || record.flush_failed) disk.log.forget_touches();
  disk.name = request.disk_name();
  disk.geometry = {request.size(), request.block_size()};
  disk.members = members.names.size();
  disk.generation.store(raw(record.generation));
  if (epoch != before.epoch) disk.last_sequence.store(0);
  disk.stopped.store(false);
  disk.admitted = true;
  suspect_torn(disk_ref, record);

  reply.set_active_count(disk.log.counts().active);
  log::info("event=fenced disk={} holder={} epoch={} session={} crashed={} active={}", disk.name,
            request.holder(), raw(epoch), raw(session), reply.crashed(), reply.active_count());
  return reply;
}

Result<pb::SetMissingReply> NodeCore::set_missing(const pb::SetMissingRequest& request) {
  auto members = member_view(request.members(), request.missing_mask());
  if (!members.ok()) return members.error();
  auto id = disk_id_of(request.ref().disk_id());
  if (!id.ok()) return id.error();
  const DiskRef disk = find(*id);
  if (!disk) return not_served(*id);
  // Exclusively: a change is folded into the missed sets or logged with them, not in between.
  const std::unique_lock pass(disk->gate);
  auto admitted = request.ref().session() == 0
                      ? Result<>(invalid("only the holder may tell who is missing"))
                      : disk->check(Epoch{request.ref().epoch()}, Session{request.ref().session()});
  if (!admitted.ok()) return admitted.error();
  Geometry grown = disk->geometry;
  if (request.size() != 0) {
    auto geometry = make_geometry(request.size(), disk->geometry.block_size_bytes);
    if (!geometry.ok()) return geometry.error();
    if (geometry->size_bytes < grown.size_bytes) return invalid("a disk never shrinks");
    grown = *geometry;
  }
  auto history = request.has_history() ? History::from(request.history()) : disk->history;
  if (!history.ok()) return history.error();
  auto folded = disk->log.set_missing(*members);
  if (!folded.ok()) {
    complain(*disk, folded.error());
    return folded.error();
  }
  if (disk->record.size_bytes != grown.size_bytes) {
    SessionRecord record = disk->record;
    record.size_bytes = grown.size_bytes;
    auto saved = disk->save_session(record);
    if (!saved.ok()) return saved.error();
  }
  disk->members = members->names.size();
  disk->geometry = grown;
  disk->history = *history;
  if (request.has_history()) disk->kept = kept_in(request.history());
  return pb::SetMissingReply{};
}

}  // namespace ukai
