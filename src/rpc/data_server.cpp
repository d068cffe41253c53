// SPDX-License-Identifier: BSD-2-Clause
#include "rpc/data_server.h"

#include <fcntl.h>
#include <sys/epoll.h>
#include <sys/timerfd.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <cerrno>
#include <chrono>
#include <mutex>

#include "base/buffer_pool.h"
#include "base/log.h"
#include "base/reactor.h"
#include "rpc/channels.h"
#include "rpc/frame.h"
#include "rpc/greeting.h"
#include "rpc/record_socket.h"
#include "ukai/limits.h"

namespace ukai {
namespace {

// How often the streams are looked after.
constexpr auto look_interval = std::chrono::seconds(1);

/// What a request makes us hold: what came with it, or what goes back.
std::size_t held_bytes(const IoRequest& request) {
  const bool reads =
      request.op == IoOp::read || request.op == IoOp::read_packed || request.op == IoOp::read_disk;
  return reads ? request.length_bytes : request.data.size();
}

/// One client's connection. Requests in work keep it, but their late replies find it ended.
class Stream final : public RecordSocket::Owner, public std::enable_shared_from_this<Stream> {
 public:
  Stream(const std::vector<std::string>& identities, IoHandler& handler)
      : identities_(identities), handler_(handler) {}

  void start(std::shared_ptr<RecordSocket> socket);
  /// Breaks it: no more requests are taken, no more replies sent.
  void end();
  /// Called at intervals. True: the client says nothing, or has gone.
  bool is_idle();

  void on_connected(RecordSocket&) override {}
  void on_record(RecordSocket& socket, Payload record) override;
  void on_sent(RecordSocket& socket) override;
  void on_lost(RecordSocket& socket, const std::string& why) override;

 private:
  struct Finished {
    ReplyFrame frame;
    std::size_t held_bytes;
  };

  void greet(const Payload& record);
  void handle(std::vector<RequestFrame> frames);
  void reply(std::vector<Finished> finished);
  bool next_batch(std::vector<ReplyFrame>& batch);
  void pump();
  void refuse(const Error& why);
  bool overloaded() const {
    return work_frames_ >= limits::stream_work_frames_max ||
           work_bytes_ >= limits::stream_work_bytes_max;
  }

  // Only while not ended: they may be gone afterwards.
  const std::vector<std::string>& identities_;
  IoHandler& handler_;
  std::shared_ptr<RecordSocket> socket_;  ///< constant after start(); the reactor has it too
  bool greeted_ = false;                  ///< by the reactor's thread
  std::atomic<bool> heard_ = true;        ///< something came since the last look
  int silent_looks_ = 0;                  ///< by whoever calls is_idle()

  std::mutex mutex_;
  // All below by mutex_.
  bool ended_ = false;
  bool paused_ = false;
  bool writing_ = false;
  bool alive_due_ = false;           ///< the client asked for a sign of life
  std::vector<ReplyFrame> replies_;  ///< waiting to be sent: from replies_begin_ on
  std::vector<std::size_t> held_;    ///< parallel to replies_: what each request is charged for
  std::size_t replies_begin_ = 0;
  std::size_t work_frames_ = 0;  ///< taken, and their reply not sent yet
  std::size_t work_bytes_ = 0;
  std::size_t batch_frames_ = 0;  ///< of work_frames_, in the write that is out
  std::size_t batch_held_ = 0;    ///< of work_bytes_, in the same
};

void Stream::start(std::shared_ptr<RecordSocket> socket) {
  socket_ = std::move(socket);
  socket_->start(shared_from_this(), false);
}

void Stream::end() {
  {
    std::lock_guard lock(mutex_);
    ended_ = true;
    replies_.clear();
    held_.clear();
    replies_begin_ = 0;
  }
  socket_->close();
}

bool Stream::is_idle() {
  {
    std::lock_guard lock(mutex_);
    if (ended_) return true;
  }
  silent_looks_ = heard_.exchange(false) ? 0 : silent_looks_ + 1;
  return silent_looks_ > limits::server_keepalive / look_interval;
}

void Stream::on_lost(RecordSocket& /*socket*/, const std::string& why) {
  log::debug("event=stream_closed reason=\"{}\"", why);
  end();
}

/// The client learns why, if there is room for it; then the stream ends.
void Stream::refuse(const Error& why) {
  log::warn("event=stream_bad reason=\"{}\"", why.what);
  bool say = false;
  {
    std::lock_guard lock(mutex_);
    say = !writing_ && !ended_;
    writing_ = true;
  }
  if (say) socket_->write(encode_farewell(why));
  end();
}

void Stream::greet(const Payload& record) {
  auto identity = decode_hello(record);
  if (!identity) return refuse(identity.error());
  if (auto admitted = check_addressee(*identity, identities_); !admitted) {
    return refuse(admitted.error());
  }
  greeted_ = true;
  socket_->allow(message_bytes_max);
  // The first that is written, to an empty socket: it takes it.
  socket_->write(encode_welcome());
}

void Stream::on_record(RecordSocket& socket, Payload record) {
  heard_ = true;
  if (!greeted_) return greet(record);
  if (record.empty()) {
    bool ours = false;
    {
      std::lock_guard lock(mutex_);
      alive_due_ = true;
      ours = !std::exchange(writing_, true);
    }
    return ours ? pump() : void();
  }
  auto frames = decode_requests(record);
  if (!frames) return refuse(frames.error());
  {
    std::lock_guard lock(mutex_);
    if (ended_) return;
    work_frames_ += frames->size();
    for (const RequestFrame& frame : *frames) work_bytes_ += held_bytes(frame.request);
    paused_ = overloaded();
    if (paused_) socket.pause();
  }
  handle(std::move(*frames));
}

void Stream::handle(std::vector<RequestFrame> frames) {
  std::vector<Finished> finished;
  std::size_t bytes = 0;
  for (RequestFrame& frame : frames) {
    const std::size_t held = held_bytes(frame.request);
    if (auto answer = handler_.answer_now(frame.request)) {
      bytes += answer->data.size();
      finished.push_back({{frame.id, std::move(*answer)}, held});
      // What is worth a message goes, while the next is read.
      if (bytes >= limits::batch_bytes_max) reply(std::exchange(finished, {}));
      if (finished.empty()) bytes = 0;
      continue;
    }
    auto done = [self = shared_from_this(), id = frame.id, held](IoReply answer) {
      std::vector<Finished> one;
      one.push_back({{id, std::move(answer)}, held});
      self->reply(std::move(one));
    };
    handler_.start(std::move(frame.request), std::move(done));
  }
  if (!finished.empty()) reply(std::move(finished));
}

void Stream::reply(std::vector<Finished> finished) {
  {
    std::lock_guard lock(mutex_);
    if (ended_) return;
    for (Finished& one : finished) {
      replies_.push_back(std::move(one.frame));
      held_.push_back(one.held_bytes);
    }
    if (std::exchange(writing_, true)) return;
  }
  pump();
}

/// Under mutex_: moves what goes into the next message to `batch`; none: a sign of life. False:
/// there is nothing to send.
bool Stream::next_batch(std::vector<ReplyFrame>& batch) {
  if (std::exchange(alive_due_, false)) return true;
  const std::span<ReplyFrame> waiting = std::span(replies_).subspan(replies_begin_);
  if (waiting.empty()) return false;
  batch_frames_ = batch_length(waiting);
  for (std::size_t i = 0; i < batch_frames_; ++i) {
    batch.push_back(std::move(waiting[i]));
    batch_held_ += held_[replies_begin_ + i];
  }
  replies_begin_ += batch_frames_;
  if (replies_begin_ == replies_.size() || replies_begin_ > limits::stream_work_frames_max) {
    const auto sent = static_cast<std::ptrdiff_t>(replies_begin_);
    replies_.erase(replies_.begin(), replies_.begin() + sent);
    held_.erase(held_.begin(), held_.begin() + sent);
    replies_begin_ = 0;
  }
  return true;
}

/// Writes until nothing waits or the socket takes no more; then on_sent() goes on. writing_ is
/// ours.
void Stream::pump() {
  for (;;) {
    std::vector<ReplyFrame> batch;
    {
      std::lock_guard lock(mutex_);
      work_frames_ -= std::exchange(batch_frames_, 0);
      work_bytes_ -= std::exchange(batch_held_, 0);
      if (ended_) return;
      if (paused_ && !overloaded()) {
        paused_ = false;
        socket_->resume();
      }
      if (!next_batch(batch)) {
        writing_ = false;
        return;
      }
    }
    if (!socket_->write(batch.empty() ? Payload() : encode_replies(batch))) return;
  }
}

void Stream::on_sent(RecordSocket& /*socket*/) { pump(); }

}  // namespace

/// Also what is told that clients knock, on the first reactor.
struct DataServer::Impl final : public Reactor::Source {
  Impl(DataServerOptions server_options, IoHandler& io_handler)
      : options(std::move(server_options)), handler(io_handler) {}

  /// Looks after the streams at intervals.
  struct Watch final : Reactor::Source {
    explicit Watch(Impl& server) : impl(server) {}
    void ready(std::uint32_t /*events*/) override { impl.look(); }
    Impl& impl;
  };

  Result<> start();
  void stop();
  void ready(std::uint32_t events) override;
  void take_in(UniqueFd client);
  void look();

  const DataServerOptions options;
  IoHandler& handler;
  const std::shared_ptr<BufferPool> buffers =
      std::make_shared<BufferPool>(limits::idle_receive_buffer_bytes_max);
  UniqueFd listening;
  UniqueFd timer;
  UniqueFd spare;  ///< to take in, and send away, a client when no descriptor is left
  std::uint16_t port = 0;

  std::mutex mutex;
  bool stopping = false;                         // by mutex
  std::size_t next_reactor = 0;                  // by mutex
  std::vector<std::shared_ptr<Stream>> streams;  // by mutex

  // Last: their threads end first.
  std::vector<std::unique_ptr<Reactor>> reactors;
};

/// Every client that waits.
void DataServer::Impl::ready(std::uint32_t /*events*/) {
  for (;;) {
    UniqueFd client = accept_data(listening);
    if (client.valid()) {
      take_in(std::move(client));
      continue;
    }
    if (errno == ECONNABORTED || errno == EINTR) continue;
    if (errno != EMFILE && errno != ENFILE) return;
    log::error("event=stream_refused reason=\"no file descriptor is left\"");
    spare.reset();
    accept_data(listening).reset();
    spare.reset(::open("/dev/null", O_RDONLY | O_CLOEXEC));
  }
}

void DataServer::Impl::take_in(UniqueFd client) {
  std::lock_guard lock(mutex);
  if (stopping) return;
  Reactor& reactor = *reactors[next_reactor++ % reactors.size()];
  auto stream = std::make_shared<Stream>(options.identities, handler);
  streams.push_back(stream);
  stream->start(
      std::make_shared<RecordSocket>(reactor, std::move(client), Inbox(buffers, hello_bytes_max)));
}

void DataServer::Impl::look() {
  std::uint64_t times = 0;
  static_cast<void>(!::read(timer.get(), &times, sizeof times));
  std::vector<std::shared_ptr<Stream>> gone;
  {
    std::lock_guard lock(mutex);
    const auto idle = std::partition(streams.begin(), streams.end(),
                                     [](const auto& stream) { return !stream->is_idle(); });
    gone.assign(idle, streams.end());
    streams.erase(idle, streams.end());
  }
  for (const auto& stream : gone) stream->end();
}

Result<> DataServer::Impl::start() {
  auto socket = listen_data(options.listen);
  if (!socket) return socket.error();
  listening = std::move(*socket);
  port = port_of(listening);
  spare.reset(::open("/dev/null", O_RDONLY | O_CLOEXEC));
  timer.reset(::timerfd_create(CLOCK_MONOTONIC, TFD_CLOEXEC | TFD_NONBLOCK));
  itimerspec interval{};
  interval.it_interval.tv_sec = std::chrono::seconds(look_interval).count();
  interval.it_value = interval.it_interval;
  ::timerfd_settime(timer.get(), 0, &interval, nullptr);
  for (unsigned i = 0; i < options.threads; ++i) {
    reactors.push_back(std::make_unique<Reactor>("ukai-serve"));
  }
  // Not owners: stop() takes them away and waits for the threads before we go.
  reactors.front()->add(listening.get(), EPOLLIN,
                        std::shared_ptr<Source>(std::shared_ptr<Source>(), this));
  reactors.front()->add(timer.get(), EPOLLIN, std::make_shared<Watch>(*this));
  return {};
}

void DataServer::Impl::stop() {
  std::vector<std::shared_ptr<Stream>> open;
  {
    std::lock_guard lock(mutex);
    stopping = true;
    open.swap(streams);
  }
  for (const auto& stream : open) stream->end();
  if (!reactors.empty()) {
    reactors.front()->remove(listening.get());
    reactors.front()->remove(timer.get());
  }
  reactors.clear();
  listening.reset();
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

std::uint16_t DataServer::port() const { return impl_->port; }

}  // namespace ukai
