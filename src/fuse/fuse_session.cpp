// SPDX-License-Identifier: BSD-2-Clause
#include "fuse/fuse_session.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <linux/fuse.h>
#include <sys/epoll.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <cerrno>
#include <cstdarg>
#include <cstdio>
#include <cstring>
#include <latch>
#include <mutex>
#include <optional>
#include <vector>

#include "base/log.h"
#include "fuse/mount.h"
#include "fuse/mount_point.h"
#include "fuse/mount_state.h"
#include "ukai/limits.h"

namespace ukai {
namespace {

// Then sockets have their turn.
constexpr int requests_a_turn = 32;
// From here on, a request that a replica in this process answers is worth a second thread: copying
// it takes longer than that one's waking up. Two writes to one block wait for each other in the
// kernel, so that only receiving and summing the one beside the other gains something.
constexpr std::size_t long_read_bytes = 64U << 10;
constexpr std::size_t long_write_bytes = 512U << 10;
// So many requests, or looks in vain, since anybody found two of those waiting, and the second
// thread is not needed.
constexpr int unneeded_max = 64;
// The kernel counts its requests from 2 on, by two.
constexpr std::uint64_t never_used = std::uint64_t{1} << 62;

/// libfuse explains failures by printing only.
void on_libfuse_log(fuse_log_level, const char* format, va_list arguments) {
  char line[512];
  std::vsnprintf(line, sizeof line, format, arguments);
  log::warn("event=libfuse text='{}'", line);
}

void on_init(void* data, fuse_conn_info* connection) {
  auto& mount = *static_cast<fuse::Mount*>(data);
  const auto& options = mount.options;
  connection->max_write = limits::io_bytes_max;
  connection->max_readahead = limits::io_bytes_max;
  connection->max_background = options.max_background;
  connection->congestion_threshold = options.max_background * 3 / 4;
  connection->time_gran = 1;
  // Splicing costs more than it saves at every size measured. Truncation on open must come as a
  // request of its own, or the kernel believes the disk to be empty. The size of a disk belongs to
  // ukaictl, so the kernel may not cache writes and decide on sizes itself.
  unsigned unwanted = FUSE_CAP_SPLICE_READ | FUSE_CAP_SPLICE_WRITE | FUSE_CAP_SPLICE_MOVE |
                      FUSE_CAP_ATOMIC_O_TRUNC | FUSE_CAP_WRITEBACK_CACHE | FUSE_CAP_HANDLE_KILLPRIV;
  // With the page cache, a look at the attributes before each read would undo what it is for.
  if (options.kernel_cache) unwanted |= FUSE_CAP_AUTO_INVAL_DATA;
  connection->want &= ~unwanted;
  connection->want |=
      connection->capable & (FUSE_CAP_ASYNC_READ | FUSE_CAP_ASYNC_DIO | FUSE_CAP_PARALLEL_DIROPS);
  // The kernel goes by what the first process answered.
  if (mount.terms.want) connection->want = *mount.terms.want;
  mount.terms.want = connection->want;
}

fuse_lowlevel_ops make_operations() {
  fuse_lowlevel_ops operations{};
  operations.init = on_init;
  fuse::add_name_operations(operations);
  fuse::add_attribute_operations(operations);
  fuse::add_open_operations(operations);
  fuse::add_io_operations(operations);
  fuse::add_space_operations(operations);
  fuse::add_lock_operations(operations);
  return operations;
}

}  // namespace

struct FuseSession::Impl {
  /// One reactor's part in the session.
  class Channel;
  /// What one look at the device led to.
  enum class Served { nothing, gone, short_one, long_one };

  Impl(FuseOptions options, HostDisks& disks, Reactor& given)
      : shared(std::move(options), disks), first(given) {}
  ~Impl() {
    if (session != nullptr) fuse_session_destroy(session);
  }

  Result<> make_session(UniqueFd device);
  Result<> greet_again(std::string init_request);

  Result<> start_receiving();
  void stop_receiving();
  void leave(const std::vector<Reactor*>& reactors);
  void on_ended();
  Served serve_one(fuse::Gathering* gathering);
  void note_backlog();
  void let_helper_go();

  fuse::Mount shared;
  Reactor& first;
  std::string path;
  bool ours = false;  ///< the mount goes with this session
  std::function<void()> ended;
  fuse_session* session = nullptr;
  std::vector<std::unique_ptr<Reactor>> more_reactors;
  std::vector<Reactor*> receiving;  // the given one and our own
  std::unique_ptr<Reactor> helper;  // receives while long requests wait; null: others always do
  std::atomic<bool> helping{false};
  std::atomic<unsigned> backlogs{0};  // how often two long requests in a row were found waiting
  std::atomic<bool> stopping{false};
  std::atomic<bool> ended_told{false};
  std::mutex unmount_mutex;
  bool unmounted = false;  // guarded by unmount_mutex
};

namespace {
/// The kernel's first request says what it can do.
void note_init(fuse::KernelTerms& terms, const fuse_buf& received) {
  fuse_in_header header{};
  if (received.size < sizeof header) return;
  std::memcpy(&header, received.mem, sizeof header);
  if (header.opcode != FUSE_INIT) return;
  terms.init_request.assign(static_cast<const char*>(received.mem), received.size);
  terms.greeted = true;
}

bool is_long(const fuse_buf& received) {
  fuse_in_header header{};
  if (received.size < sizeof header) return false;
  std::memcpy(&header, received.mem, sizeof header);
  if (header.opcode == FUSE_WRITE) return header.len >= long_write_bytes;
  fuse_read_in read{};
  if (header.opcode != FUSE_READ || received.size < sizeof header + sizeof read) return false;
  std::memcpy(&read, static_cast<const std::byte*>(received.mem) + sizeof header, sizeof read);
  return read.size >= long_read_bytes;
}
}  // namespace

class FuseSession::Impl::Channel final : public Reactor::Source {
 public:
  Channel(Impl& impl, Reactor& reactor, bool helps)
      : impl_(impl), reactor_(reactor), helps_(helps), seen_(impl.backlogs) {}
  void ready(std::uint32_t events) override;

 private:
  void look_whether_needed(int served);

  Impl& impl_;
  Reactor& reactor_;
  const bool helps_;
  unsigned seen_;  ///< of the backlogs, when it last looked
  int unneeded_ = 0;
};

/// The buffer is replaced only when a payload in it was kept.
FuseSession::Impl::Served FuseSession::Impl::serve_one(fuse::Gathering* gathering) {
  auto& buffer = fuse::current_buffer();
  if (!buffer || buffer->kept()) buffer = shared.buffers.take();
  fuse_buf received{};
  received.mem = buffer->memory();
  int got = -EINTR;
  while (got == -EINTR) got = fuse_session_receive_buf(session, &received);
  if (got == -EAGAIN) return Served::nothing;
  if (got <= 0) return Served::gone;
  if (!shared.terms.greeted) note_init(shared.terms, received);
  const bool takes_long = is_long(received);
  if (takes_long && gathering != nullptr) gathering->send();
  const std::uint64_t before = fuse::answers_of_this_thread();
  fuse_session_process_buf(session, &received);
  const bool answered = fuse::answers_of_this_thread() != before;
  return takes_long && answered ? Served::long_one : Served::short_one;
}

void FuseSession::Impl::Channel::ready(std::uint32_t /*events*/) {
  int long_ones = 0;
  // The first answer has no others to wait for.
  std::optional<fuse::Gathering> gathering;
  int i = 0;
  for (; i < requests_a_turn && !impl_.stopping; ++i) {
    const Served served = impl_.serve_one(gathering ? &*gathering : nullptr);
    if (served == Served::nothing) break;
    if (served == Served::gone) return impl_.on_ended();
    if (served == Served::long_one && ++long_ones == 2) impl_.note_backlog();
    // A single request is on its way before we look for another.
    if (i == 0) {
      reactor_.end_turn();
      gathering.emplace();
    }
  }
  gathering.reset();
  if (helps_) look_whether_needed(i);
}

void FuseSession::Impl::Channel::look_whether_needed(int served) {
  const unsigned now = impl_.backlogs;
  unneeded_ = now == seen_ ? unneeded_ + std::max(served, 1) : 0;
  seen_ = now;
  if (unneeded_ >= unneeded_max) impl_.let_helper_go();
}

/// One thread is best for short requests, but two long ones are copied at once by two. Not while
/// stopping: the helper is told to leave after those who may call it have left.
void FuseSession::Impl::note_backlog() {
  backlogs += 1;
  if (!helper || stopping || helping.exchange(true)) return;
  helper->add(fuse_session_fd(session), EPOLLIN, std::make_shared<Channel>(*this, *helper, true));
}

void FuseSession::Impl::let_helper_go() {
  helper->remove(fuse_session_fd(session));
  helping = false;
}

void FuseSession::Impl::on_ended() {
  for (Reactor* reactor : receiving) reactor->remove(fuse_session_fd(session));
  if (helper) helper->remove(fuse_session_fd(session));
  if (!stopping && !ended_told.exchange(true) && ended) ended();
}

Result<> FuseSession::Impl::start_receiving() {
  const int device = fuse_session_fd(session);
  const int flags = ::fcntl(device, F_GETFL);
  if (flags < 0 || ::fcntl(device, F_SETFL, flags | O_NONBLOCK) != 0) {
    return Error{Code::io, "the FUSE device cannot be polled"};
  }
  fuse_session_reset(session);
  stopping = false;
  receiving = {&first};
  while (receiving.size() < shared.options.threads) {
    more_reactors.push_back(std::make_unique<Reactor>("ukai-fuse"));
    receiving.push_back(more_reactors.back().get());
  }
  helping = false;
  if (receiving.size() == 1) helper = std::make_unique<Reactor>("ukai-fuse-help");
  for (Reactor* reactor : receiving) {
    auto channel = std::make_shared<Channel>(*this, *reactor, false);
    reactor->add(device, EPOLLIN | EPOLLEXCLUSIVE, std::move(channel));
  }
  return {};
}

/// Returns when no thread is in a request of ours any more.
void FuseSession::Impl::stop_receiving() {
  stopping = true;
  leave(receiving);
  if (helper) leave({helper.get()});
  // Not before: libfuse drops the request that it has just read when it finds itself told to exit,
  // and nobody would ever answer it.
  fuse_session_exit(session);
  receiving.clear();
  more_reactors.clear();
  helper.reset();
}

void FuseSession::Impl::leave(const std::vector<Reactor*>& reactors) {
  std::latch left(static_cast<std::ptrdiff_t>(reactors.size()));
  for (Reactor* reactor : reactors) {
    reactor->remove(fuse_session_fd(session));
    reactor->post([&left] {
      fuse::current_buffer().reset();
      left.count_down();
    });
  }
  left.wait();
}

FuseSession::FuseSession(std::unique_ptr<Impl> impl) : impl_(std::move(impl)) {}

const std::string& FuseSession::mount_point() const { return impl_->path; }

/// libfuse serves a device that it has not mounted: it would unmount whatever lies on the path at
/// the end.
Result<> FuseSession::Impl::make_session(UniqueFd device) {
  static std::once_flag once;
  std::call_once(once, [] { fuse_set_log_func(on_libfuse_log); });
  const auto operations = make_operations();
  fuse_args arguments = FUSE_ARGS_INIT(0, nullptr);
  fuse_opt_add_arg(&arguments, "ukaid");
  session = fuse_session_new(&arguments, &operations, sizeof operations, &shared);
  fuse_opt_free_args(&arguments);
  const std::string mounted = fmt::format("/dev/fd/{}", device.get());
  if (session == nullptr || fuse_session_mount(session, mounted.c_str()) != 0) {
    return Error{Code::invalid, fmt::format("libfuse refuses to serve {}", path)};
  }
  static_cast<void>(device.release());  // the session closes it
  return Unit{};
}

/// libfuse wants to be greeted by the kernel, which has done so long ago. So it gets that greeting
/// again, under a number that the kernel has never used: it refuses the answer, and libfuse takes
/// that for a request that was interrupted.
Result<> FuseSession::Impl::greet_again(std::string init_request) {
  fuse_in_header header{};
  const Error bad{Code::invalid, "no FUSE_INIT was handed over"};
  if (init_request.size() < sizeof header) return bad;
  std::memcpy(&header, init_request.data(), sizeof header);
  if (header.opcode != FUSE_INIT || header.len != init_request.size()) return bad;
  shared.terms.init_request = init_request;
  shared.terms.greeted = true;
  header.unique = never_used;
  std::memcpy(init_request.data(), &header, sizeof header);
  fuse_buf request{};
  request.mem = init_request.data();
  request.size = init_request.size();
  fuse_session_process_buf(session, &request);
  return Unit{};
}

Result<std::unique_ptr<FuseSession>> FuseSession::mount(FuseOptions options, HostDisks& disks,
                                                        Reactor& reactor,
                                                        std::function<void()> ended) {
  auto path = fuse::prepare_mount_point(options.mount_point, options.allow_nonempty);
  if (!path) return path.error();
  auto impl = std::make_unique<Impl>(std::move(options), disks, reactor);
  impl->path = *path;
  impl->ended = std::move(ended);
  auto device = fuse::mount_device(*path, impl->shared.options);
  if (!device) return device.error();
  auto made = impl->make_session(UniqueFd(*device));
  if (made.ok()) made = impl->start_receiving();
  if (!made.ok()) {
    (void)fuse::take_mount_away(*path);
    return made.error();
  }
  impl->ours = true;
  return std::unique_ptr<FuseSession>(new FuseSession(std::move(impl)));
}

Result<std::unique_ptr<FuseSession>> FuseSession::adopt(FuseOptions options, HostDisks& disks,
                                                        Reactor& reactor, Inherited from,
                                                        std::function<void()> ended) {
  auto impl = std::make_unique<Impl>(std::move(options), disks, reactor);
  impl->path = from.state.path();
  impl->ended = std::move(ended);
  impl->shared.terms.want = from.state.want();
  auto made = impl->make_session(std::move(from.device));
  if (made.ok()) made = impl->greet_again(from.state.init_request());
  if (made.ok()) made = sync_wait(fuse::restore(impl->shared, std::move(from.state)));
  if (!made.ok()) return made.error();
  return std::unique_ptr<FuseSession>(new FuseSession(std::move(impl)));
}

Result<> FuseSession::begin() {
  auto started = impl_->start_receiving();
  impl_->ours = started.ok();
  return started;
}

Result<Inherited> FuseSession::hand_over(std::chrono::milliseconds patience) {
  std::lock_guard lock(impl_->unmount_mutex);
  fuse::Mount& shared = impl_->shared;
  if (impl_->unmounted || impl_->ended_told || !shared.terms.greeted) {
    return Error{Code::busy, "the mount is not served"};
  }
  impl_->stop_receiving();
  Result<> fit;
  if (!shared.in_flight.wait_none(patience)) {
    fit = Error{Code::busy, fmt::format("requests of guests are still under way after {} s",
                                        patience.count() / 1000)};
  }
  if (fit.ok()) fit = sync_wait(fuse::flush_all(shared));
  Inherited out;
  out.device.reset(::fcntl(fuse_session_fd(impl_->session), F_DUPFD_CLOEXEC, 3));
  if (fit.ok() && !out.device.valid()) fit = Error{Code::io, "the FUSE device cannot be passed on"};
  if (!fit.ok()) {
    if (auto started = impl_->start_receiving(); !started) return started.error();
    return fit.error();
  }
  out.state.set_path(impl_->path);
  out.state.set_init_request(shared.terms.init_request);
  out.state.set_want(shared.terms.want.value_or(0));
  fuse::save(shared, out.state);
  impl_->ours = false;
  impl_->unmounted = true;
  shared.handles.clear();
  shared.folders.clear();
  return out;
}

void FuseSession::unmount() {
  std::lock_guard lock(impl_->unmount_mutex);
  if (impl_->unmounted) return;
  impl_->unmounted = true;
  // Once somebody else has unmounted it, the path is theirs.
  if (impl_->ours && (!impl_->ended_told.exchange(true) || fuse::is_dead_mount(impl_->path))) {
    // The receiving threads still answer what the kernel asks while it unmounts.
    const auto away = fuse::take_mount_away(impl_->path);
    if (!away) log::warn("event=unmount_failed reason='{}'", away.error().what);
  }
  impl_->stop_receiving();
  impl_->shared.handles.clear();
  impl_->shared.folders.clear();
}

FuseSession::~FuseSession() {
  unmount();
  impl_->shared.in_flight.wait_none();
}

}  // namespace ukai
