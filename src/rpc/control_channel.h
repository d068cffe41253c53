// SPDX-License-Identifier: BSD-2-Clause
#pragma once

#include <grpcpp/channel.h>
#include <grpcpp/client_context.h>
#include <grpcpp/support/async_stream.h>
#include <grpcpp/support/async_unary_call.h>

#include <chrono>
#include <functional>
#include <memory>
#include <mutex>
#include <set>
#include <string>

#include "rpc/channels.h"
#include "rpc/status.h"
#include "rpc/transport.h"
#include "ukai/scheduler.h"
#include "ukai/task.h"

namespace ukai {

/// The contexts of the calls under way on one channel, so that closing it ends them. shared_ptr:
/// the calls outlive their channel by the time that gRPC takes to cancel them.
class OpenCalls {
 public:
  /// False: closed, the call must not start.
  bool add(grpc::ClientContext& context) {
    std::lock_guard lock(mutex_);
    if (!closed_) contexts_.insert(&context);
    return !closed_;
  }
  void remove(grpc::ClientContext& context) {
    std::lock_guard lock(mutex_);
    contexts_.erase(&context);
  }
  void close() {
    std::lock_guard lock(mutex_);
    closed_ = true;
    for (grpc::ClientContext* context : contexts_) context->TryCancel();
  }

 private:
  std::mutex mutex_;
  std::set<grpc::ClientContext*> contexts_;  // by mutex_
  bool closed_ = false;                      // by mutex_
};

/// Whom a control call goes to, and how errors name him.
struct ControlPeer {
  std::string address;
  std::string identity;  ///< empty: whoever listens there
  std::string name;      ///< "n1"
};

/// What every call has in common: context, deadline, and its place among the open calls. Deletes
/// itself at its end.
class ControlCall : public CompletionTag {
 public:
  ControlCall(CompletionThread& thread, std::shared_ptr<OpenCalls> open, const ControlPeer& peer)
      : thread_(thread), open_(std::move(open)), name_(peer.name) {
    thread_.hold();
    address_to(context_, peer.identity);
  }

 protected:
  void set_deadline(Duration deadline) {
    context_.set_deadline(std::chrono::system_clock::now() +
                          std::chrono::duration_cast<std::chrono::microseconds>(deadline));
  }
  bool open() { return open_->add(context_); }
  void finish() {
    open_->remove(context_);
    CompletionThread& thread = thread_;
    delete this;
    thread.release();
  }
  Error closed() const { return Error{Code::shut_down, "the link to " + name_ + " is closed"}; }
  Error error() const { return from_grpc(status_, name_); }

  CompletionThread& thread_;
  const std::shared_ptr<OpenCalls> open_;
  const std::string name_;
  grpc::ClientContext context_;
  grpc::Status status_;
};

template <class Reply>
class UnaryCall final : public ControlCall {
 public:
  using ControlCall::ControlCall;

  /// `prepare(context, queue)` is the stub's PrepareAsync… with the request. Returns before the
  /// answer is there; it resolves on the control thread.
  template <class Prepare>
  OneShot<Result<Reply>> start(Prepare prepare, Duration deadline) {
    OneShot<Result<Reply>> answer = answer_;
    set_deadline(deadline);
    if (!open()) {
      answer.resolve(closed());
      finish();
      return answer;
    }
    reader_ = prepare(&context_, thread_.queue());
    reader_->StartCall();
    reader_->Finish(&reply_, &status_, static_cast<CompletionTag*>(this));
    return answer;
  }

 private:
  void complete(bool /*ok*/) override {
    OneShot<Result<Reply>> answer = answer_;
    Result<Reply> result = status_.ok() ? Result<Reply>(std::move(reply_)) : Result<Reply>(error());
    finish();
    answer.resolve(std::move(result));
  }

  OneShot<Result<Reply>> answer_;
  std::unique_ptr<grpc::ClientAsyncResponseReader<Reply>> reader_;
  Reply reply_;
};

/// A call whose server sends messages until it is done. There is no deadline; a dead peer ends it.
template <class Message>
class ListeningCall final : public ControlCall {
 public:
  using ControlCall::ControlCall;
  /// False: the caller does not want any more.
  using Listener = std::function<bool(const Message&)>;

  template <class Prepare>
  OneShot<Result<>> start(Prepare prepare, Listener listener) {
    OneShot<Result<>> answer = answer_;
    if (!open()) {
      answer.resolve(closed());
      finish();
      return answer;
    }
    listener_ = std::move(listener);
    reader_ = prepare(&context_, thread_.queue());
    reader_->StartCall(static_cast<CompletionTag*>(this));
    return answer;
  }

 private:
  enum class Step { start, read, finish };

  void complete(bool ok) override {
    if (step_ == Step::finish) {
      OneShot<Result<>> answer = answer_;
      Result<> result = status_.ok() ? Result<>() : Result<>(error());
      finish();
      answer.resolve(std::move(result));
      return;
    }
    if (ok && step_ == Step::read && !listener_(message_)) context_.TryCancel();
    step_ = ok ? Step::read : Step::finish;
    if (ok) {
      reader_->Read(&message_, static_cast<CompletionTag*>(this));
    } else {
      reader_->Finish(&status_, static_cast<CompletionTag*>(this));
    }
  }

  OneShot<Result<>> answer_;
  Listener listener_;
  std::unique_ptr<grpc::ClientAsyncReader<Message>> reader_;
  Message message_;
  Step step_ = Step::start;
};

/// One peer's control service as awaitable calls. Closing (destroying) it fails those under way.
/// Threads: safe from any.
template <class Service>
class ControlChannel {
 public:
  using Stub = typename Service::Stub;

  ControlChannel(Transport& transport, ControlPeer peer)
      : thread_(transport.control),
        peer_(std::move(peer)),
        channel_(make_control_channel(peer_.address)),
        stub_(Service::NewStub(channel_)) {}
  ~ControlChannel() { open_->close(); }

  template <class Request, class Reply>
  using Prepare = std::unique_ptr<grpc::ClientAsyncResponseReader<Reply>> (Stub::*)(
      grpc::ClientContext*, const Request&, grpc::CompletionQueue*);
  template <class Request, class Message>
  using PrepareListening = std::unique_ptr<grpc::ClientAsyncReader<Message>> (Stub::*)(
      grpc::ClientContext*, const Request&, grpc::CompletionQueue*);

  template <class Request, class Reply>
  Task<Result<Reply>> call(Prepare<Request, Reply> prepare, Request request, Duration deadline) {
    auto* unary = new UnaryCall<Reply>(thread_, open_, peer_);
    OneShot<Result<Reply>> answer = unary->start(
        [&](grpc::ClientContext* context, grpc::CompletionQueue* queue) {
          return ((*stub_).*prepare)(context, request, queue);
        },
        deadline);
    co_return co_await answer;
  }

  template <class Request, class Message>
  Task<Result<>> listen(PrepareListening<Request, Message> prepare, Request request,
                        std::function<bool(const Message&)> listener) {
    auto* listening = new ListeningCall<Message>(thread_, open_, peer_);
    OneShot<Result<>> answer = listening->start(
        [&](grpc::ClientContext* context, grpc::CompletionQueue* queue) {
          return ((*stub_).*prepare)(context, request, queue);
        },
        std::move(listener));
    co_return co_await answer;
  }

  /// There is a reason to think that the peer is back: connect without waiting for the pause's end.
  void connect_now() { grpc::experimental::ChannelResetConnectionBackoff(channel_.get()); }

 private:
  CompletionThread& thread_;
  const ControlPeer peer_;
  const std::shared_ptr<grpc::Channel> channel_;
  const std::unique_ptr<Stub> stub_;
  const std::shared_ptr<OpenCalls> open_ = std::make_shared<OpenCalls>();
};

}  // namespace ukai
