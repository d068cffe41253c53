// SPDX-License-Identifier: BSD-2-Clause
#include "rpc/data_client.h"

#include <fmt/format.h>
#include <grpcpp/channel.h>
#include <grpcpp/client_context.h>
#include <grpcpp/generic/generic_stub.h>

#include <algorithm>
#include <mutex>
#include <optional>
#include <random>
#include <vector>

#include "base/log.h"
#include "rpc/byte_buffers.h"
#include "rpc/channels.h"
#include "rpc/frame.h"
#include "rpc/in_flight.h"
#include "rpc/status.h"
#include "ukai/limits.h"

namespace ukai {
namespace {

// A round trip of more than this says something about the bandwidth, not the distance.
constexpr std::uint32_t small_request_bytes_max = 16U << 10;
// The smoothed latency moves by an eighth of the difference, as TCP's does; down by a half, because
// a short round trip is the distance and a long one may be the queue.
constexpr int slower_weight = 8;
constexpr int faster_weight = 2;

bool is_small(const IoRequest& request) {
  return (request.op == IoOp::read || request.op == IoOp::ping) &&
         request.length_bytes <= small_request_bytes_max;
}

void fail_all(std::vector<InFlight::Request> requests, const Error& error) {
  for (InFlight::Request& request : requests) request.done(IoReply::failed(error));
}

}  // namespace

/// Everything of the client that operations in flight refer to.
class DataClient::Core : public std::enable_shared_from_this<Core> {
 public:
  Core(Transport& transport, Scheduler& scheduler, DataClientOptions options)
      : transport_(transport),
        scheduler_(scheduler),
        options_(std::move(options)),
        jitter_(static_cast<unsigned>(std::hash<std::string>{}(options_.address))) {}

  void connect(bool cut_pause);
  void submit(IoRequest request, Duration deadline, NodeLink::Done done);
  NodeLink::Condition condition() const;
  void close();

 private:
  /// One attempt at a connection and, when it succeeds, the stream on it. Deletes itself when gRPC
  /// has given back its last operation.
  class Call;

  enum class State {
    idle,        ///< nobody has asked yet
    connecting,  ///< requests wait
    connected,
    pausing,  ///< the last attempt failed: requests fail
    closed
  };

  void start_call();
  void established(Call& call);
  void lost(Call& call);
  void broke(Call& call, std::string why);
  void received(Call& call, const Payload& message);
  void sent(Call& call, bool ok);
  std::optional<Error> cannot_take() const;
  bool next_batch(Call& call);
  void note_latency(Duration sample);
  void arm_sweep();
  void sweep();
  void report();
  Error unreachable(std::string_view why) const {
    return Error{Code::unreachable,
                 fmt::format("{} at {}: {}", options_.peer, options_.address, why)};
  }

  // Constant after construction.
  Transport& transport_;
  Scheduler& scheduler_;
  const DataClientOptions options_;

  mutable std::mutex mutex_;
  // All below by mutex_.
  State state_ = State::idle;
  Call* call_ = nullptr;  ///< while connecting or connected
  InFlight in_flight_{limits::stream_queue_frames_max};
  std::vector<RequestFrame> queue_;  ///< not handed to gRPC yet: from queue_begin_ on
  std::size_t queue_begin_ = 0;
  bool sweeping_ = false;
  Duration pause_ = limits::reconnect_backoff_min;
  std::optional<Scheduler::TimerId> pause_timer_;
  std::minstd_rand jitter_;
  Duration latency_{};
  bool connected_anew_ = true;  ///< perhaps another way: what was measured before does not count
  std::string last_error_ = "not connected yet";
};

class DataClient::Core::Call {
 public:
  /// The completion thread is held for it already.
  explicit Call(std::shared_ptr<Core> core)
      : core_(std::move(core)),
        channel_(make_data_channel(core_->options_.address)),
        stub_(channel_) {
    address_to(context_, core_->options_.identity);
    stream_ =
        stub_.PrepareCall(&context_, "/ukai.pb.UkaiData/Stream", core_->transport_.data.queue());
  }
  void start() { stream_->StartCall(&start_tag_); }
  void cancel() { context_.TryCancel(); }
  /// Sends batch_, which the caller alone may touch since it set `writing`.
  void write() { stream_->Write(to_byte_buffer(encode_requests(batch_)), &write_tag_); }

  std::vector<RequestFrame> batch_;  ///< by whoever set writing_
  bool writing_ = false;             ///< by core's mutex
  bool finished_ = false;            ///< by core's mutex: only the last write may still be out

  /// After the last completion, on the completion thread.
  void destroy() {
    CompletionThread& thread = core_->transport_.data;
    delete this;
    thread.release();
  }

 private:
  void on_start(bool ok) {
    if (!ok) return finish();
    stream_->ReadInitialMetadata(&greeting_tag_);
  }
  void on_greeting(bool ok) {
    if (!ok) return finish();
    // Who does not greet ends the stream with the reason; cancelling would hide it.
    if (greeted(context_)) core_->established(*this);
    stream_->Read(&incoming_, &read_tag_);
  }
  void on_read(bool ok) {
    if (!ok) {
      core_->lost(*this);
      return finish();
    }
    const Payload message = from_byte_buffer(incoming_);
    stream_->Read(&incoming_, &read_tag_);
    core_->received(*this, message);
  }
  void on_write(bool ok) { core_->sent(*this, ok); }
  void finish() { stream_->Finish(&status_, &finish_tag_); }
  void on_finish(bool /*ok*/) {
    core_->broke(*this, status_.ok() ? "it ended the stream" : from_grpc(status_, "it").what);
    bool last = false;
    {
      std::lock_guard lock(core_->mutex_);
      finished_ = true;
      last = !writing_;
    }
    if (last) destroy();
  }

  std::shared_ptr<Core> core_;
  std::shared_ptr<grpc::Channel> channel_;
  grpc::GenericStub stub_;
  grpc::ClientContext context_;
  std::unique_ptr<grpc::GenericClientAsyncReaderWriter> stream_;
  grpc::ByteBuffer incoming_;
  grpc::Status status_;
  MemberTag<Call> start_tag_{*this, &Call::on_start};
  MemberTag<Call> greeting_tag_{*this, &Call::on_greeting};
  MemberTag<Call> read_tag_{*this, &Call::on_read};
  MemberTag<Call> write_tag_{*this, &Call::on_write};
  MemberTag<Call> finish_tag_{*this, &Call::on_finish};
};

void DataClient::Core::connect(bool cut_pause) {
  {
    std::lock_guard lock(mutex_);
    const bool pausing = state_ == State::pausing && cut_pause;
    if (state_ != State::idle && !pausing) return;
    // When the timer fires just now, it finds another state and does nothing.
    if (pause_timer_) scheduler_.cancel(*pause_timer_);
    pause_timer_.reset();
    state_ = State::connecting;
    // Under the mutex: once the client is closed, nothing touches the transport any more.
    transport_.data.hold();
  }
  start_call();
}

void DataClient::Core::start_call() {
  auto* call = new Call(shared_from_this());
  bool closed = false;
  {
    std::lock_guard lock(mutex_);
    closed = state_ == State::closed;
    if (!closed) call_ = call;
  }
  if (closed) return call->destroy();
  call->start();
}

void DataClient::Core::established(Call& call) {
  bool write = false;
  {
    std::lock_guard lock(mutex_);
    if (call_ != &call) return;
    state_ = State::connected;
    connected_anew_ = true;
    pause_ = limits::reconnect_backoff_min;
    last_error_.clear();
    write = next_batch(call);
  }
  log::debug("event=stream_up peer={} address={}", options_.peer, options_.address);
  if (write) call.write();
  report();
}

/// The stream will not bring anything any more: its requests fail now, before the reason is known.
void DataClient::Core::lost(Call& call) {
  {
    std::lock_guard lock(mutex_);
    if (call_ != &call || state_ != State::connected) return;
  }
  broke(call, "connection lost");
}

void DataClient::Core::broke(Call& call, std::string why) {
  std::vector<InFlight::Request> failed;
  Error error{Code::unreachable, {}};
  bool was_connected = false;
  {
    std::lock_guard lock(mutex_);
    if (call_ != &call) return;
    call_ = nullptr;
    was_connected = state_ == State::connected;
    state_ = State::pausing;
    last_error_ = std::move(why);
    error = unreachable(last_error_);
    failed = in_flight_.take_all();
    queue_.clear();
    queue_begin_ = 0;
    // A crowd of hosts must not knock at a returning node in step.
    const Duration pause = pause_ * std::uniform_int_distribution<int>(75, 125)(jitter_) / 100;
    pause_ = std::min<Duration>(pause_ * 2, limits::reconnect_backoff_max);
    pause_timer_ = scheduler_.after(pause, [weak = weak_from_this()] {
      if (auto core = weak.lock()) core->connect(true);
    });
  }
  if (was_connected) {
    log::info("event=stream_down peer={} address={} reason=\"{}\"", options_.peer, options_.address,
              error.what);
    report();
  }
  fail_all(std::move(failed), error);
}

void DataClient::Core::submit(IoRequest request, Duration deadline, NodeLink::Done done) {
  std::unique_lock lock(mutex_);
  if (auto why = cannot_take()) {
    lock.unlock();
    return done(IoReply::failed(*why));
  }
  const TimePoint now = scheduler_.now();
  InFlight::Request entry{std::move(done), now, now + deadline, is_small(request)};
  queue_.push_back({in_flight_.add(std::move(entry)), std::move(request)});
  arm_sweep();
  const bool idle = state_ == State::idle;
  Call* call = nullptr;
  if (state_ == State::connected && !call_->writing_ && next_batch(*call_)) call = call_;
  lock.unlock();
  if (call != nullptr) call->write();
  if (idle) connect(false);
}

/// Under mutex_: why a request fails at once.
std::optional<Error> DataClient::Core::cannot_take() const {
  if (state_ == State::closed) {
    return Error{Code::shut_down, fmt::format("the link to {} is closed", options_.peer)};
  }
  if (state_ == State::pausing) return unreachable(last_error_);
  if (in_flight_.full()) return unreachable("too many requests wait for it");
  return std::nullopt;
}

/// Under mutex_: moves what goes into the next message to the call's batch and claims the stream's
/// one write. False: there is nothing to send.
bool DataClient::Core::next_batch(Call& call) {
  call.batch_.clear();
  call.writing_ = false;
  // Requests that were given up while they waited are never sent.
  while (queue_begin_ < queue_.size() && !in_flight_.contains(queue_[queue_begin_].id)) {
    ++queue_begin_;
  }
  const std::span<RequestFrame> waiting = std::span(queue_).subspan(queue_begin_);
  if (!waiting.empty()) {
    const std::size_t count = batch_length(waiting);
    for (RequestFrame& frame : waiting.first(count)) {
      if (in_flight_.contains(frame.id)) call.batch_.push_back(std::move(frame));
    }
    queue_begin_ += count;
    call.writing_ = true;
  }
  if (queue_begin_ == queue_.size()) {
    queue_.clear();
    queue_begin_ = 0;
  } else if (queue_begin_ > limits::stream_queue_frames_max) {
    queue_.erase(queue_.begin(), queue_.begin() + static_cast<std::ptrdiff_t>(queue_begin_));
    queue_begin_ = 0;
  }
  return call.writing_;
}

void DataClient::Core::sent(Call& call, bool ok) {
  bool write = false;
  bool last = false;
  {
    std::lock_guard lock(mutex_);
    if (ok && call_ == &call) {
      write = next_batch(call);
    } else {
      // A failed write is followed by a failed read, which cleans up.
      call.batch_.clear();
      call.writing_ = false;
      last = call.finished_;
    }
  }
  if (write) call.write();
  if (last) call.destroy();
}

void DataClient::Core::received(Call& call, const Payload& message) {
  auto frames = decode_replies(message);
  if (!frames) {
    log::warn("event=stream_bad peer={} reason=\"{}\"", options_.peer, frames.error().what);
    return call.cancel();
  }
  std::vector<std::pair<NodeLink::Done, IoReply>> answered;
  answered.reserve(frames->size());
  {
    std::lock_guard lock(mutex_);
    const TimePoint now = scheduler_.now();
    for (ReplyFrame& frame : *frames) {
      auto request = in_flight_.take(frame.id);
      if (!request) continue;  // its deadline was earlier
      if (request->small) note_latency(now - request->sent);
      answered.emplace_back(std::move(request->done), std::move(frame.reply));
    }
  }
  for (auto& [done, reply] : answered) done(std::move(reply));
}

/// Under mutex_.
void DataClient::Core::note_latency(Duration sample) {
  const int weight = sample < latency_ ? faster_weight : slower_weight;
  latency_ = connected_anew_ ? sample : latency_ + (sample - latency_) / weight;
  connected_anew_ = false;
}

/// Under mutex_.
void DataClient::Core::arm_sweep() {
  if (sweeping_) return;
  sweeping_ = true;
  scheduler_.after(limits::deadline_sweep_interval, [weak = weak_from_this()] {
    if (auto core = weak.lock()) core->sweep();
  });
}

void DataClient::Core::sweep() {
  std::vector<InFlight::Request> late;
  {
    std::lock_guard lock(mutex_);
    sweeping_ = false;
    late = in_flight_.take_late(scheduler_.now());
    if (in_flight_.size() > 0) arm_sweep();
  }
  fail_all(std::move(late), unreachable("no answer in time"));
}

NodeLink::Condition DataClient::Core::condition() const {
  std::lock_guard lock(mutex_);
  NodeLink::Condition condition;
  condition.connected = state_ == State::connected;
  condition.latency = latency_;
  condition.last_error = last_error_;
  condition.in_flight = in_flight_.size();
  return condition;
}

void DataClient::Core::report() {
  if (!options_.on_connection) return;
  scheduler_.post([self = shared_from_this()] {
    {
      std::lock_guard lock(self->mutex_);
      if (self->state_ == State::closed) return;
    }
    self->options_.on_connection();
  });
}

void DataClient::Core::close() {
  std::vector<InFlight::Request> failed;
  {
    std::lock_guard lock(mutex_);
    state_ = State::closed;
    // Under the mutex, because the call may delete itself as soon as it is not ours any more.
    if (call_ != nullptr) call_->cancel();
    call_ = nullptr;
    if (pause_timer_) scheduler_.cancel(*pause_timer_);
    failed = in_flight_.take_all();
    queue_.clear();
    queue_begin_ = 0;
  }
  fail_all(std::move(failed),
           Error{Code::shut_down, fmt::format("the link to {} is closed", options_.peer)});
}

DataClient::DataClient(Transport& transport, Scheduler& scheduler, DataClientOptions options)
    : core_(std::make_shared<Core>(transport, scheduler, std::move(options))) {}

DataClient::~DataClient() { core_->close(); }

void DataClient::connect() { core_->connect(false); }

void DataClient::connect_now() { core_->connect(true); }

void DataClient::submit(IoRequest request, Duration deadline, NodeLink::Done done) {
  core_->submit(std::move(request), deadline, std::move(done));
}

NodeLink::Condition DataClient::condition() const { return core_->condition(); }

}  // namespace ukai
