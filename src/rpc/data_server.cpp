// SPDX-License-Identifier: BSD-2-Clause
#include "rpc/data_server.h"

#include <fmt/format.h>
#include <grpcpp/generic/async_generic_service.h>
#include <grpcpp/server.h>
#include <grpcpp/server_builder.h>

#include <algorithm>
#include <chrono>
#include <condition_variable>
#include <mutex>
#include <thread>
#include <unordered_set>

#include "base/log.h"
#include "rpc/byte_buffers.h"
#include "rpc/channels.h"
#include "rpc/frame.h"
#include "rpc/status.h"
#include "rpc/transport.h"
#include "ukai/limits.h"

namespace ukai {
namespace {

/// What a request makes us hold: what came with it, or what goes back.
std::size_t held_bytes(const IoRequest& request) {
  const bool reads =
      request.op == IoOp::read || request.op == IoOp::read_packed || request.op == IoOp::read_disk;
  return reads ? request.length_bytes : request.data.size();
}

}  // namespace

struct DataServer::Impl {
  class Stream;

  Impl(DataServerOptions server_options, IoHandler& io_handler)
      : options(std::move(server_options)), handler(io_handler) {}

  Result<> start();
  void stop();
  void accept(grpc::ServerCompletionQueue& queue);
  void closed(Stream* stream);

  const DataServerOptions options;
  IoHandler& handler;
  grpc::AsyncGenericService service;
  std::vector<std::unique_ptr<grpc::ServerCompletionQueue>> queues;
  std::unique_ptr<grpc::Server> server;
  std::vector<std::thread> threads;
  int port = 0;

  std::mutex mutex;
  std::condition_variable idle;
  std::unordered_set<Stream*> streams;  // by mutex: those that wait for a client included
  bool stopping = false;                // by mutex
};

/// One stream, from waiting for a client to the end. Keeps itself alive while gRPC has operations
/// of it; requests in work keep it too, but their late replies find it ended.
class DataServer::Impl::Stream : public std::enable_shared_from_this<Stream> {
 public:
  Stream(Impl& impl, grpc::ServerCompletionQueue& queue)
      : impl_(impl), queue_(queue), call_(std::make_unique<Call>()) {}

  void wait_for_client() {
    self_ = shared_from_this();
    impl_.service.RequestCall(&call_->context, &call_->stream, &queue_, &queue_, &accept_tag_);
  }

  /// Breaks the stream: no more requests are taken, no more replies sent.
  void cancel();

 private:
  /// gRPC's part: gone before the server is, while requests in work may keep the stream longer.
  struct Call {
    grpc::GenericServerContext context;
    grpc::GenericServerAsyncReaderWriter stream{&context};
    grpc::ByteBuffer incoming;
  };
  struct Finished {
    ReplyFrame frame;
    std::size_t held_bytes;
  };

  void on_accept(bool ok);
  void on_greeting(bool ok);
  void on_read(bool ok);
  void on_write(bool ok);
  void on_finish(bool ok);

  Result<> admit() const;
  void handle(std::vector<RequestFrame> frames);
  void reply(std::vector<Finished> finished);
  bool next_batch();
  void write();
  /// The chain accept, greeting, read, read … goes no further; `why` is what the client is told.
  void end_reading(grpc::Status why);
  void mark_ended(grpc::Status why);
  void finish_if_settled();
  bool overloaded() const {
    return work_frames_ >= limits::stream_work_frames_max ||
           work_bytes_ >= limits::stream_work_bytes_max;
  }

  Impl& impl_;  ///< only while not ended: it may be gone afterwards
  grpc::ServerCompletionQueue& queue_;
  std::unique_ptr<Call> call_;     ///< until on_finish()
  std::shared_ptr<Stream> self_;   ///< gRPC's reference, until on_finish()
  std::vector<ReplyFrame> batch_;  ///< by whoever set writing_

  std::mutex mutex_;
  // All below by mutex_.
  bool accepted_ = false;
  bool ended_ = false;
  bool reading_ = true;  ///< an operation of the reading chain is out
  bool writing_ = false;
  bool finishing_ = false;
  grpc::Status end_status_;
  std::vector<ReplyFrame> replies_;  ///< waiting to be sent: from replies_begin_ on
  std::vector<std::size_t> held_;    ///< parallel to replies_: what each request is charged for
  std::size_t replies_begin_ = 0;
  std::size_t work_frames_ = 0;  ///< taken, and their reply not sent yet
  std::size_t work_bytes_ = 0;
  std::size_t batch_held_ = 0;  ///< of work_bytes_, in the write that is out

  MemberTag<Stream> accept_tag_{*this, &Stream::on_accept};
  MemberTag<Stream> greeting_tag_{*this, &Stream::on_greeting};
  MemberTag<Stream> read_tag_{*this, &Stream::on_read};
  MemberTag<Stream> write_tag_{*this, &Stream::on_write};
  MemberTag<Stream> finish_tag_{*this, &Stream::on_finish};
};

void DataServer::Impl::Stream::on_accept(bool ok) {
  if (!ok) return on_finish(false);
  impl_.accept(queue_);
  bool ended = false;
  {
    std::lock_guard lock(mutex_);
    accepted_ = true;
    ended = ended_;
  }
  if (ended) return end_reading(grpc::Status::CANCELLED);
  if (auto admitted = admit(); !admitted) {
    log::warn("event=stream_refused from={} reason=\"{}\"", call_->context.peer(),
              admitted.error().what);
    return end_reading(to_grpc(admitted.error()));
  }
  const auto [key, value] = server_greeting();
  call_->context.AddInitialMetadata(key, value);
  call_->stream.SendInitialMetadata(&greeting_tag_);
}

Result<> DataServer::Impl::Stream::admit() const {
  if (call_->context.method() != "/ukai.pb.UkaiData/Stream") {
    return Error{Code::refused, "this port serves UkaiData.Stream only"};
  }
  return check_addressee(call_->context, impl_.options.identities);
}

void DataServer::Impl::Stream::on_greeting(bool ok) {
  if (!ok) return end_reading(grpc::Status::CANCELLED);
  log::debug("event=stream_open from={}", call_->context.peer());
  call_->stream.Read(&call_->incoming, &read_tag_);
}

void DataServer::Impl::Stream::on_read(bool ok) {
  if (!ok) return end_reading(grpc::Status::OK);
  auto frames = decode_requests(from_byte_buffer(call_->incoming));
  if (!frames) {
    log::warn("event=stream_bad from={} reason=\"{}\"", call_->context.peer(), frames.error().what);
    return end_reading(to_grpc(frames.error()));
  }
  bool ended = false;
  bool read_on = false;
  {
    std::lock_guard lock(mutex_);
    work_frames_ += frames->size();
    for (const RequestFrame& frame : *frames) work_bytes_ += held_bytes(frame.request);
    ended = ended_;
    read_on = !ended && !overloaded();
    if (!ended) reading_ = read_on;
  }
  if (ended) return end_reading(grpc::Status::CANCELLED);
  // Before the requests are handled, so that the next message comes in meanwhile.
  if (read_on) call_->stream.Read(&call_->incoming, &read_tag_);
  handle(std::move(*frames));
}

void DataServer::Impl::Stream::handle(std::vector<RequestFrame> frames) {
  std::vector<Finished> finished;
  finished.reserve(frames.size());
  for (RequestFrame& frame : frames) {
    const std::size_t held = held_bytes(frame.request);
    if (auto answer = impl_.handler.answer_now(frame.request)) {
      finished.push_back({{frame.id, std::move(*answer)}, held});
      continue;
    }
    auto done = [self = shared_from_this(), id = frame.id, held](IoReply answer) {
      std::vector<Finished> one;
      one.push_back({{id, std::move(answer)}, held});
      self->reply(std::move(one));
    };
    impl_.handler.start(std::move(frame.request), std::move(done));
  }
  if (!finished.empty()) reply(std::move(finished));
}

void DataServer::Impl::Stream::reply(std::vector<Finished> finished) {
  {
    std::lock_guard lock(mutex_);
    if (ended_) return;
    for (Finished& one : finished) {
      replies_.push_back(std::move(one.frame));
      held_.push_back(one.held_bytes);
    }
    if (writing_ || !next_batch()) return;
  }
  write();
}

/// Under mutex_: moves what goes into the next message to batch_ and claims the stream's one write.
/// False: there is nothing to send.
bool DataServer::Impl::Stream::next_batch() {
  batch_.clear();
  batch_held_ = 0;
  const std::span<ReplyFrame> waiting = std::span(replies_).subspan(replies_begin_);
  if (waiting.empty()) return false;
  const std::size_t count = batch_length(waiting);
  for (std::size_t i = 0; i < count; ++i) {
    batch_.push_back(std::move(waiting[i]));
    batch_held_ += held_[replies_begin_ + i];
  }
  replies_begin_ += count;
  if (replies_begin_ == replies_.size() || replies_begin_ > limits::stream_work_frames_max) {
    const auto sent = static_cast<std::ptrdiff_t>(replies_begin_);
    replies_.erase(replies_.begin(), replies_.begin() + sent);
    held_.erase(held_.begin(), held_.begin() + sent);
    replies_begin_ = 0;
  }
  writing_ = true;
  return true;
}

void DataServer::Impl::Stream::write() {
  call_->stream.Write(to_byte_buffer(encode_replies(batch_)), &write_tag_);
}

void DataServer::Impl::Stream::on_write(bool ok) {
  bool send = false;
  bool read_on = false;
  {
    std::lock_guard lock(mutex_);
    work_frames_ -= batch_.size();
    work_bytes_ -= batch_held_;
    writing_ = false;
    if (ok && !ended_) {
      send = next_batch();
      read_on = !reading_ && !overloaded();
      reading_ = reading_ || read_on;
    }
  }
  if (send) write();
  if (read_on) call_->stream.Read(&call_->incoming, &read_tag_);
  if (!ok) cancel();
  if (!send) finish_if_settled();
}

/// Under mutex_.
void DataServer::Impl::Stream::mark_ended(grpc::Status why) {
  if (ended_) return;
  ended_ = true;
  end_status_ = std::move(why);
  replies_.clear();
  held_.clear();
  replies_begin_ = 0;
}

void DataServer::Impl::Stream::end_reading(grpc::Status why) {
  {
    std::lock_guard lock(mutex_);
    reading_ = false;
    mark_ended(std::move(why));
    // A peer that reads nothing would hold up the write for ever.
    if (writing_) call_->context.TryCancel();
  }
  finish_if_settled();
}

void DataServer::Impl::Stream::cancel() {
  {
    std::lock_guard lock(mutex_);
    mark_ended(grpc::Status::CANCELLED);
    if (accepted_ && call_ != nullptr) call_->context.TryCancel();
  }
  finish_if_settled();
}

void DataServer::Impl::Stream::finish_if_settled() {
  {
    std::lock_guard lock(mutex_);
    if (!ended_ || reading_ || writing_ || finishing_) return;
    finishing_ = true;
  }
  call_->stream.Finish(end_status_, &finish_tag_);
}

void DataServer::Impl::Stream::on_finish(bool /*ok*/) {
  const auto self = std::move(self_);
  std::unique_ptr<Call> call;
  {
    std::lock_guard lock(mutex_);
    mark_ended(grpc::Status::OK);
    call = std::move(call_);
  }
  call.reset();
  impl_.closed(this);
}

Result<> DataServer::Impl::start() {
  if (auto address = parse_address(options.listen); !address) return address.error();
  grpc::ServerBuilder builder;
  tune_data_server(builder);
  listen_on(builder, options.listen, &port);
  builder.RegisterAsyncGenericService(&service);
  for (unsigned i = 0; i < options.threads; ++i) queues.push_back(builder.AddCompletionQueue());
  server = builder.BuildAndStart();
  const bool listening = server != nullptr && port != 0;
  for (auto& queue : queues) {
    threads.emplace_back([&queue] { run_completions(*queue); });
    if (listening) accept(*queue);
  }
  if (!listening) return cannot_listen(options.listen);
  return {};
}

void DataServer::Impl::accept(grpc::ServerCompletionQueue& queue) {
  std::shared_ptr<Stream> stream;
  {
    std::lock_guard lock(mutex);
    if (stopping) return;
    stream = std::make_shared<Stream>(*this, queue);
    streams.insert(stream.get());
  }
  stream->wait_for_client();
}

void DataServer::Impl::closed(Stream* stream) {
  std::lock_guard lock(mutex);
  streams.erase(stream);
  if (streams.empty()) idle.notify_all();
}

void DataServer::Impl::stop() {
  std::vector<std::shared_ptr<Stream>> open;
  {
    std::lock_guard lock(mutex);
    stopping = true;
    for (Stream* stream : streams) open.push_back(stream->shared_from_this());
  }
  for (const auto& stream : open) stream->cancel();
  open.clear();
  if (server != nullptr) server->Shutdown(std::chrono::system_clock::now());
  {
    std::unique_lock lock(mutex);
    idle.wait(lock, [this] { return streams.empty(); });
  }
  for (auto& queue : queues) queue->Shutdown();
  for (std::thread& thread : threads) thread.join();
}

Result<std::unique_ptr<DataServer>> DataServer::start(DataServerOptions options,
                                                      IoHandler& handler) {
  std::unique_ptr<DataServer> server(
      new DataServer(std::make_unique<Impl>(std::move(options), handler)));
  if (auto started = server->impl_->start(); !started) return started.error();
  return server;
}

DataServer::DataServer(std::unique_ptr<Impl> impl) : impl_(std::move(impl)) {}

DataServer::~DataServer() { impl_->stop(); }

std::uint16_t DataServer::port() const { return static_cast<std::uint16_t>(impl_->port); }

}  // namespace ukai
