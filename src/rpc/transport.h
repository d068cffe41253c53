// SPDX-License-Identifier: BSD-2-Clause
#pragma once

#include <condition_variable>
#include <cstddef>
#include <memory>
#include <mutex>
#include <thread>

#include "base/buffer_pool.h"
#include "base/reactor.h"
#include "ukai/limits.h"

namespace grpc {
class CompletionQueue;
}

namespace ukai {

/// What a finished gRPC operation calls; its address is the operation's tag.
class CompletionTag {
 public:
  virtual ~CompletionTag() = default;
  virtual void complete(bool ok) = 0;
};

/// A tag that calls one member function of its owner.
template <class Owner>
class MemberTag final : public CompletionTag {
 public:
  using Function = void (Owner::*)(bool ok);
  MemberTag(Owner& owner, Function function) : owner_(owner), function_(function) {}
  void complete(bool ok) override { (owner_.*function_)(ok); }

 private:
  Owner& owner_;
  Function function_;
};

/// Calls the tags of `queue` until it is shut down and empty.
void run_completions(grpc::CompletionQueue& queue);

/// A completion queue and the one thread that serves it, for calls that this process makes.
///
/// Threads: safe from any. The destructor waits until every call that holds it has ended, so it
/// must not run on its own thread, and calls must have been cancelled or have a deadline.
class CompletionThread {
 public:
  CompletionThread();
  ~CompletionThread();

  grpc::CompletionQueue* queue() { return queue_.get(); }

  /// A call holds the queue from before its first operation until after its last completion.
  void hold();
  void release();

 private:
  std::unique_ptr<grpc::CompletionQueue> queue_;
  std::mutex mutex_;
  std::condition_variable idle_;
  std::size_t holders_ = 0;  // by mutex_
  std::thread thread_;
};

/// The client side's threads of one process: one for the data streams (and, in ukaid, the guests'
/// requests), and one for unary calls, so that what is done with their answers never delays data.
/// Outlives all links.
struct Transport {
  Reactor data{"ukai-data"};
  /// What is received goes there (shared_ptr: it comes back from anywhere).
  std::shared_ptr<BufferPool> buffers =
      std::make_shared<BufferPool>(limits::idle_receive_buffer_bytes_max);
  CompletionThread control;
};

}  // namespace ukai
