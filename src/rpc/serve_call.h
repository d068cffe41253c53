// SPDX-License-Identifier: BSD-2-Clause
#pragma once

#include <grpcpp/server_context.h>

#include <chrono>
#include <condition_variable>
#include <memory>
#include <mutex>
#include <optional>

#include "rpc/channels.h"
#include "rpc/status.h"
#include "ukai/result.h"
#include "ukai/task.h"

namespace ukai {

/// How often a server's waiting thread looks whether its caller has gone or the server stops.
inline constexpr auto caller_check_interval = std::chrono::milliseconds(50);

/// Answers a synchronous gRPC call: checks whom it is meant for, then `work()` gives a Result.
template <class Reply, class Work>
grpc::Status serve_call(const grpc::ServerContext& context,
                        const std::vector<std::string>& identities, Reply& reply, Work work) {
  if (auto admitted = check_addressee(context, identities); !admitted) {
    return to_grpc(admitted.error());
  }
  Result<Reply> result = work();
  if (!result) return to_grpc(result.error());
  reply = std::move(*result);
  return grpc::Status::OK;
}

/// Runs `task` and blocks until it has finished, or its caller has gone or the server stops; then
/// the task goes on by itself, and this returns an error that nobody will read.
template <class T>
Result<T> wait_for_caller(const grpc::ServerContext& context, Task<Result<T>> task) {
  struct State {
    std::mutex mutex;
    std::condition_variable finished;
    std::optional<Result<T>> result;
  };
  auto state = std::make_shared<State>();  // shared: the task may outlive this call
  spawn_into<Result<T>>(std::move(task), [state](Result<T> result) {
    std::lock_guard lock(state->mutex);
    state->result.emplace(std::move(result));
    state->finished.notify_one();
  });
  std::unique_lock lock(state->mutex);
  while (!state->finished.wait_for(lock, caller_check_interval,
                                   [&] { return state->result.has_value(); })) {
    if (context.IsCancelled()) return Error{Code::unreachable, "the caller has gone"};
  }
  return std::move(*state->result);
}

}  // namespace ukai
