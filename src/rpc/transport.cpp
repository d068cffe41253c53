// SPDX-License-Identifier: BSD-2-Clause
#include "rpc/transport.h"

#include <grpcpp/completion_queue.h>

namespace ukai {

void run_completions(grpc::CompletionQueue& queue) {
  void* tag = nullptr;
  bool ok = false;
  while (queue.Next(&tag, &ok)) static_cast<CompletionTag*>(tag)->complete(ok);
}

CompletionThread::CompletionThread()
    : queue_(std::make_unique<grpc::CompletionQueue>()),
      thread_([this] { run_completions(*queue_); }) {}

CompletionThread::~CompletionThread() {
  {
    std::unique_lock lock(mutex_);
    idle_.wait(lock, [this] { return holders_ == 0; });
  }
  queue_->Shutdown();
  thread_.join();
}

void CompletionThread::hold() {
  std::lock_guard lock(mutex_);
  ++holders_;
}

void CompletionThread::release() {
  std::lock_guard lock(mutex_);
  if (--holders_ == 0) idle_.notify_all();
}

}  // namespace ukai
