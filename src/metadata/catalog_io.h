// SPDX-License-Identifier: BSD-2-Clause
#pragma once

#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "metadata/records.h"
#include "ukai/coordination.h"
#include "ukai/scheduler.h"
#include "ukai/task.h"

namespace ukai {

/// A record with what ZooKeeper says about its znode.
template <class Message>
struct Loaded {
  Message record;
  Stat stat;
};

/// Errors: as Coordination::get, and corrupt.
template <class Message>
Task<Result<Loaded<Message>>> load_record(Coordination& coordination, std::string path) {
  auto znode = co_await coordination.get(path);
  if (!znode) co_return znode.error();
  auto record = decode_record<Message>(path, znode->data);
  if (!record) co_return record.error();
  co_return Loaded<Message>{std::move(*record), znode->stat};
}

/// The same; no value when the path does not exist.
template <class Message>
Task<Result<std::optional<Loaded<Message>>>> find_record(Coordination& coordination,
                                                         std::string path) {
  auto loaded = co_await load_record<Message>(coordination, std::move(path));
  if (loaded.ok()) co_return std::optional<Loaded<Message>>(std::move(*loaded));
  if (loaded.failed_with(Code::not_found)) co_return std::optional<Loaded<Message>>();
  co_return loaded.error();
}

/// How to see whether a change whose answer was lost was applied: `ask` reads `path` and looks for
/// the traces of operation `op`.
struct Probe {
  Task<Result<bool>> (*ask)(Coordination& coordination, std::string path, std::string op);
  std::string path;
  std::string op;
};

Task<Result<bool>> path_is_gone(Coordination& coordination, std::string path, std::string op);
Task<Result<bool>> path_is_there(Coordination& coordination, std::string path, std::string op);
/// The disk record at `path` was written by `op`, lately or a few changes ago.
Task<Result<bool>> disk_has_op(Coordination& coordination, std::string path, std::string op);
/// The ephemeral at `path` (a lease, a node's or a host's mark) was written by `op`.
template <class Message>
Task<Result<bool>> mark_has_op(Coordination& coordination, std::string path, std::string op) {
  auto found = co_await find_record<Message>(coordination, std::move(path));
  if (!found) co_return found.error();
  co_return *found && (*found)->record.op() == op;
}

/// Commits `ops` exactly once: when the connection swallows the answer, `probe` is read back before
/// anything is tried again. The steps must be such that they cannot be applied twice (they create,
/// remove, or compare versions).
///
/// The read-back is sound because a Coordination carries the requests of one session in order: once
/// a later read is answered, the earlier change was applied or never will be. The sync() before it
/// covers the case of a new session that talks to a server which lags behind.
///
/// Errors: those of commit; unknown only when the read-back was not possible for
/// limits::metadata_request_default; unreachable: surely not applied.
Task<Result<>> commit_once(Coordination& coordination, Scheduler& scheduler, std::vector<Op> ops,
                           Probe probe);

/// Not an error when it is there already.
Task<Result<>> ensure_folder(Coordination& coordination, Scheduler& scheduler, std::string path);

/// An id that no other operation has.
std::string new_operation();
/// Another changed the metadata first; the next look at it tells what to do.
bool lost_race(const Result<>& done);
/// `error` is about the step on `path`.
bool concerns(const Error& error, const std::string& path);

void remember_operation(pb::DiskRecord& record, const std::string& op);

}  // namespace ukai
