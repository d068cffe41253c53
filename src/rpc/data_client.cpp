// SPDX-License-Identifier: BSD-2-Clause
#include "rpc/data_client.h"

#include <fmt/format.h>

#include <algorithm>
#include <mutex>
#include <optional>
#include <random>
#include <vector>

#include "base/log.h"
#include "rpc/channels.h"
#include "rpc/frame.h"
#include "rpc/greeting.h"
#include "rpc/in_flight.h"
#include "rpc/record_socket.h"
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

/// Everything of the client that the socket's and the timers' calls refer to.
class DataClient::Core final : public RecordSocket::Owner,
                               public Reactor::TurnEnd,
                               public std::enable_shared_from_this<Core> {
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

  void on_connected(RecordSocket& socket) override;
  void on_record(RecordSocket& socket, Payload record) override;
  void on_sent(RecordSocket& socket) override;
  void on_lost(RecordSocket& socket, const std::string& why) override;
  void turn_ended() override;

 private:
  enum class State {
    idle,        ///< nobody has asked yet
    connecting,  ///< requests wait
    connected,
    pausing,  ///< the last attempt failed: requests fail
    closed
  };

  void open_socket();
  void arm_attempt(const std::shared_ptr<RecordSocket>& socket);
  void greeted(RecordSocket& socket, const Payload& record);
  void broke(const RecordSocket* socket, std::string why);
  void received(RecordSocket& socket, const Payload& message);
  std::optional<Error> cannot_take() const;
  bool has_work() const { return probe_due_ || queue_begin_ < queue_.size(); }
  std::shared_ptr<RecordSocket> claim_write();
  void pump(const std::shared_ptr<RecordSocket>& socket);
  bool next_batch(std::vector<RequestFrame>& batch);
  void note_latency(Duration sample);
  void arm_sweep();
  void sweep();
  void arm_keepalive(const std::shared_ptr<RecordSocket>& socket);
  void keepalive(const std::weak_ptr<RecordSocket>& of);
  void report();
  Error unreachable(std::string_view why) const {
    return Error{Code::unreachable,
                 fmt::format("{} at {}: {}", options_.peer, options_.address, why)};
  }

  // Constant after construction.
  Transport& transport_;  ///< not once it is closed
  Scheduler& scheduler_;
  const DataClientOptions options_;

  mutable std::mutex mutex_;
  // All below by mutex_.
  State state_ = State::idle;
  std::shared_ptr<RecordSocket>
      socket_;            ///< while connecting or connected (the reactor has it too)
  bool writing_ = false;  ///< somebody writes to socket_, or waits for it
  bool at_turn_end_ = false;
  bool probe_due_ = false;    ///< a sign of life is to be asked for
  int silent_intervals_ = 0;  ///< since the last record from the peer
  InFlight in_flight_{limits::stream_queue_frames_max};
  std::vector<RequestFrame> queue_;  ///< not sent yet: from queue_begin_ on
  std::size_t queue_begin_ = 0;
  bool sweeping_ = false;
  Duration pause_ = limits::reconnect_backoff_min;
  std::optional<Scheduler::TimerId> pause_timer_;
  std::minstd_rand jitter_;
  Duration latency_{};
  bool connected_anew_ = true;  ///< perhaps another way: what was measured before does not count
  std::string last_error_ = "not connected yet";
};

void DataClient::Core::connect(bool cut_pause) {
  std::lock_guard lock(mutex_);
  const bool pausing = state_ == State::pausing && cut_pause;
  if (state_ != State::idle && !pausing) return;
  // When the timer fires just now, it finds another state and does nothing.
  if (pause_timer_) scheduler_.cancel(*pause_timer_);
  pause_timer_.reset();
  state_ = State::connecting;
  // Elsewhere: the resolver may take its time.
  scheduler_.post([weak = weak_from_this()] {
    if (auto core = weak.lock()) core->open_socket();
  });
}

void DataClient::Core::open_socket() {
  auto fd = connect_data(options_.address);
  if (!fd) return broke(nullptr, fd.error().what);
  // Under the mutex: once the client is closed, nothing touches the transport any more.
  std::lock_guard lock(mutex_);
  if (state_ != State::connecting || socket_ != nullptr) return;
  writing_ = true;  // until the greeting is over
  socket_ = std::make_shared<RecordSocket>(transport_.data, std::move(*fd),
                                           Inbox(transport_.buffers, message_bytes_max));
  arm_attempt(socket_);
  socket_->start(shared_from_this(), true);
}

/// Under mutex_.
void DataClient::Core::arm_attempt(const std::shared_ptr<RecordSocket>& socket) {
  scheduler_.after(limits::connect_timeout, [weak = weak_from_this(), of = std::weak_ptr(socket)] {
    const auto core = weak.lock();
    const auto attempt = of.lock();
    if (core == nullptr || attempt == nullptr) return;
    {
      std::lock_guard lock(core->mutex_);
      if (core->state_ != State::connecting) return;
    }
    core->broke(attempt.get(), "no connection in time");
  });
}

void DataClient::Core::on_connected(RecordSocket& socket) {
  socket.write(encode_hello(options_.identity));
}

void DataClient::Core::on_record(RecordSocket& socket, Payload record) {
  bool connected = false;
  {
    std::lock_guard lock(mutex_);
    if (socket_.get() != &socket) return;
    silent_intervals_ = 0;
    connected = state_ == State::connected;
  }
  if (!connected) return greeted(socket, record);
  if (!record.empty()) received(socket, record);
}

void DataClient::Core::greeted(RecordSocket& socket, const Payload& record) {
  if (!is_welcome(record)) {
    const auto why = decode_farewell(record);
    return broke(&socket, why ? why->what : "it does not speak this protocol");
  }
  std::shared_ptr<RecordSocket> ours;
  {
    std::lock_guard lock(mutex_);
    if (socket_.get() != &socket) return;
    state_ = State::connected;
    connected_anew_ = true;
    pause_ = limits::reconnect_backoff_min;
    last_error_.clear();
    writing_ = false;
    silent_intervals_ = 0;
    probe_due_ = false;
    arm_keepalive(socket_);
    ours = claim_write();
  }
  log::debug("event=stream_up peer={} address={}", options_.peer, options_.address);
  if (ours) pump(ours);
  report();
}

void DataClient::Core::on_lost(RecordSocket& socket, const std::string& why) {
  broke(&socket, why);
}

/// `socket`: null for an attempt that never had one.
void DataClient::Core::broke(const RecordSocket* socket, std::string why) {
  std::vector<InFlight::Request> failed;
  std::shared_ptr<RecordSocket> ended;
  Error error{Code::unreachable, {}};
  bool was_connected = false;
  {
    std::lock_guard lock(mutex_);
    const bool under_way = state_ == State::connecting || state_ == State::connected;
    if (!under_way || socket_.get() != socket) return;
    ended = std::move(socket_);
    was_connected = state_ == State::connected;
    state_ = State::pausing;
    writing_ = false;
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
  if (ended) ended->close();
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
  std::shared_ptr<RecordSocket> ours;
  if (state_ == State::connected && !writing_) {
    if (!transport_.data.is_current()) {
      ours = claim_write();
    } else if (!std::exchange(at_turn_end_, true)) {
      // More may come in this turn, and goes out together with it.
      transport_.data.at_turn_end(shared_from_this());
    }
  }
  lock.unlock();
  if (ours) pump(ours);
  if (idle) connect(false);
}

void DataClient::Core::turn_ended() {
  std::shared_ptr<RecordSocket> ours;
  {
    std::lock_guard lock(mutex_);
    at_turn_end_ = false;
    ours = claim_write();
  }
  if (ours) pump(ours);
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

/// Under mutex_: null when there is nothing to write, or somebody does.
std::shared_ptr<RecordSocket> DataClient::Core::claim_write() {
  if (state_ != State::connected || writing_ || !has_work()) return nullptr;
  writing_ = true;
  return socket_;
}

/// Writes until nothing waits or the socket takes no more; then on_sent() goes on. writing_ is
/// ours.
void DataClient::Core::pump(const std::shared_ptr<RecordSocket>& socket) {
  for (;;) {
    std::vector<RequestFrame> batch;
    {
      std::lock_guard lock(mutex_);
      if (socket_ != socket) return;
      if (!next_batch(batch)) {
        writing_ = false;
        return;
      }
    }
    if (!socket->write(batch.empty() ? Payload() : encode_requests(batch))) return;
  }
}

void DataClient::Core::on_sent(RecordSocket& socket) {
  std::shared_ptr<RecordSocket> ours;
  {
    std::lock_guard lock(mutex_);
    if (socket_.get() != &socket || state_ != State::connected) return;
    ours = socket_;
  }
  pump(ours);
}

/// Under mutex_: moves what goes into the next message to `batch`; none: a sign of life. False:
/// there is nothing to send.
bool DataClient::Core::next_batch(std::vector<RequestFrame>& batch) {
  if (std::exchange(probe_due_, false)) return true;
  // Requests that were given up while they waited are never sent.
  while (queue_begin_ < queue_.size() && !in_flight_.contains(queue_[queue_begin_].id)) {
    ++queue_begin_;
  }
  const std::span<RequestFrame> waiting = std::span(queue_).subspan(queue_begin_);
  if (!waiting.empty()) {
    const std::size_t count = batch_length(waiting);
    for (RequestFrame& frame : waiting.first(count)) {
      if (in_flight_.contains(frame.id)) batch.push_back(std::move(frame));
    }
    queue_begin_ += count;
  }
  if (queue_begin_ == queue_.size()) {
    queue_.clear();
    queue_begin_ = 0;
  } else if (queue_begin_ > limits::stream_queue_frames_max) {
    queue_.erase(queue_.begin(), queue_.begin() + static_cast<std::ptrdiff_t>(queue_begin_));
    queue_begin_ = 0;
  }
  return !batch.empty();
}

void DataClient::Core::received(RecordSocket& socket, const Payload& message) {
  if (const auto why = decode_farewell(message)) return broke(&socket, why->what);
  auto frames = decode_replies(message);
  if (!frames) {
    log::warn("event=stream_bad peer={} reason=\"{}\"", options_.peer, frames.error().what);
    return broke(&socket, frames.error().what);
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
void DataClient::Core::arm_keepalive(const std::shared_ptr<RecordSocket>& socket) {
  scheduler_.after(limits::keepalive_interval,
                   [weak = weak_from_this(), of = std::weak_ptr(socket)] {
                     if (auto core = weak.lock()) core->keepalive(of);
                   });
}

/// Intervals are counted, not time: after a pause of our own process the answers are there, unread.
void DataClient::Core::keepalive(const std::weak_ptr<RecordSocket>& of) {
  const auto socket = of.lock();
  std::shared_ptr<RecordSocket> ours;
  bool dead = false;
  {
    std::lock_guard lock(mutex_);
    if (socket == nullptr || socket_ != socket) return;
    dead = silent_intervals_ >= limits::keepalive_timeout / limits::keepalive_interval;
    ++silent_intervals_;
    if (!dead) {
      probe_due_ = true;
      arm_keepalive(socket);
      ours = claim_write();
    }
  }
  if (dead) return broke(socket.get(), "no sign of life");
  if (ours) pump(ours);
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
  std::shared_ptr<RecordSocket> ended;
  {
    std::lock_guard lock(mutex_);
    state_ = State::closed;
    ended = std::move(socket_);
    if (pause_timer_) scheduler_.cancel(*pause_timer_);
    failed = in_flight_.take_all();
    queue_.clear();
    queue_begin_ = 0;
  }
  if (ended) ended->close();
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
