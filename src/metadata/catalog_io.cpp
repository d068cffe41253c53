// SPDX-License-Identifier: BSD-2-Clause
#include "metadata/catalog_io.h"

#include <algorithm>

#include "ukai/limits.h"
#include "ukai/types.h"

namespace ukai {

namespace {

Task<Result<bool>> read_back(Coordination& coordination, Scheduler& scheduler, Probe probe) {
  const TimePoint give_up = scheduler.now() + limits::metadata_request_default;
  for (;;) {
    auto synced = co_await coordination.sync();
    Result<bool> applied = synced.ok() ? Result<bool>(false) : Result<bool>(synced.error());
    if (synced.ok()) applied = co_await probe.ask(coordination, probe.path, probe.op);
    if (!applied.failed_with(Code::unreachable) || scheduler.now() >= give_up) co_return applied;
    co_await sleep_for(scheduler, limits::metadata_retry_pause);
  }
}

}  // namespace

Task<Result<bool>> path_is_there(Coordination& coordination, std::string path, std::string) {
  auto znode = co_await coordination.get(std::move(path));
  if (znode.ok()) co_return true;
  if (znode.failed_with(Code::not_found)) co_return false;
  co_return znode.error();
}

Task<Result<bool>> path_is_gone(Coordination& coordination, std::string path, std::string op) {
  auto there = co_await path_is_there(coordination, std::move(path), std::move(op));
  if (!there) co_return there.error();
  co_return !*there;
}

Task<Result<bool>> disk_has_op(Coordination& coordination, std::string path, std::string op) {
  auto found = co_await find_record<pb::DiskRecord>(coordination, std::move(path));
  if (!found) co_return found.error();
  if (!*found) co_return false;
  const pb::DiskRecord& record = (*found)->record;
  const auto& earlier = record.earlier_ops();
  co_return record.last_op() == op ||
      std::find(earlier.begin(), earlier.end(), op) != earlier.end();
}

Task<Result<>> commit_once(Coordination& coordination, Scheduler& scheduler, std::vector<Op> ops,
                           Probe probe) {
  const TimePoint give_up = scheduler.now() + 2 * limits::metadata_request_default;
  for (int attempt = 0; attempt < limits::metadata_conflicts_max; ++attempt) {
    std::vector<Op> copy = ops;
    auto done = co_await coordination.commit(std::move(copy));
    if (!done.failed_with(Code::unknown)) co_return done;
    Probe again = probe;
    auto applied = co_await read_back(coordination, scheduler, std::move(again));
    if (applied.failed_with(Code::shut_down)) co_return applied.error();
    if (!applied) {
      co_return Error{Code::unknown, done.error().what +
                                         ", and whether the change was made cannot be read: " +
                                         applied.error().what};
    }
    if (*applied) co_return Unit{};
    if (scheduler.now() >= give_up) break;
  }
  co_return Error{Code::unreachable, "the connection to ZooKeeper is lost again and again; " +
                                         probe.path + " was not changed"};
}

Task<Result<>> ensure_folder(Coordination& coordination, Scheduler& scheduler, std::string path) {
  auto there = co_await path_is_there(coordination, path, std::string());
  if (!there) co_return there.error();
  if (*there) co_return Unit{};
  std::vector<Op> ops{Op::create(path, "")};
  Probe probe{&path_is_there, path, ""};
  auto made = co_await commit_once(coordination, scheduler, std::move(ops), std::move(probe));
  if (made.failed_with(Code::exists)) co_return Unit{};
  co_return made;
}

std::string new_operation() { return DiskId::random().to_string(); }

bool lost_race(const Result<>& done) {
  return done.failed_with(Code::stale) || done.failed_with(Code::exists) ||
         done.failed_with(Code::not_found);
}

bool concerns(const Error& error, const std::string& path) {
  return error.what.starts_with(path + " ");
}

void remember_operation(pb::DiskRecord& record, const std::string& op) {
  std::vector<std::string> earlier;
  if (!record.last_op().empty()) earlier.push_back(record.last_op());
  earlier.insert(earlier.end(), record.earlier_ops().begin(), record.earlier_ops().end());
  if (earlier.size() > limits::earlier_ops_max) earlier.resize(limits::earlier_ops_max);
  record.mutable_earlier_ops()->Assign(earlier.begin(), earlier.end());
  record.set_last_op(op);
}

}  // namespace ukai
