// SPDX-License-Identifier: BSD-2-Clause
#include "fuse/fuse_session.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/epoll.h>
#include <unistd.h>

#include <atomic>
#include <cerrno>
#include <cstdarg>
#include <cstdio>
#include <latch>
#include <mutex>
#include <vector>

#include "base/log.h"
#include "fuse/mount.h"
#include "fuse/mount_point.h"
#include "ukai/limits.h"

namespace ukai {
namespace {

// Then sockets have their turn.
constexpr int requests_a_turn = 32;

/// libfuse explains failures by printing only.
void on_libfuse_log(fuse_log_level, const char* format, va_list arguments) {
  char line[512];
  std::vsnprintf(line, sizeof line, format, arguments);
  log::warn("event=libfuse text='{}'", line);
}

void on_init(void* data, fuse_conn_info* connection) {
  const auto& options = static_cast<fuse::Mount*>(data)->options;
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

  Impl(FuseOptions options, HostDisks& disks) : shared(std::move(options), disks) {}

  Result<> start_receiving(Reactor& first);
  void stop_receiving();
  void on_ended();

  fuse::Mount shared;
  std::string path;
  std::function<void()> ended;
  fuse_session* session = nullptr;
  std::vector<std::unique_ptr<Reactor>> more_reactors;
  std::vector<Reactor*> receiving;  // the given one and our own
  std::atomic<bool> stopping{false};
  std::atomic<bool> ended_told{false};
  std::mutex unmount_mutex;
  bool unmounted = false;  // guarded by unmount_mutex
};

class FuseSession::Impl::Channel final : public Reactor::Source {
 public:
  Channel(Impl& impl, Reactor& reactor) : impl_(impl), reactor_(reactor) {}
  void ready(std::uint32_t events) override;

 private:
  Impl& impl_;
  Reactor& reactor_;
};

/// The buffer is replaced only when a payload in it was kept.
void FuseSession::Impl::Channel::ready(std::uint32_t /*events*/) {
  fuse_session* const kernel = impl_.session;
  for (int i = 0; i < requests_a_turn && !impl_.stopping; ++i) {
    auto& buffer = fuse::current_buffer();
    if (!buffer || buffer->kept()) buffer = impl_.shared.buffers.take();
    fuse_buf received{};
    received.mem = buffer->memory();
    const int got = fuse_session_receive_buf(kernel, &received);
    buffer->set_memory(received.mem);
    if (got == -EINTR) continue;
    if (got == -EAGAIN) return;
    if (got <= 0) return impl_.on_ended();
    fuse_session_process_buf(kernel, &received);
    // A single request is on its way before we look for another.
    if (i == 0) reactor_.end_turn();
  }
}

void FuseSession::Impl::on_ended() {
  for (Reactor* reactor : receiving) reactor->remove(fuse_session_fd(session));
  if (!stopping && !ended_told.exchange(true) && ended) ended();
}

Result<> FuseSession::Impl::start_receiving(Reactor& first) {
  const int device = fuse_session_fd(session);
  const int flags = ::fcntl(device, F_GETFL);
  if (flags < 0 || ::fcntl(device, F_SETFL, flags | O_NONBLOCK) != 0) {
    return Error{Code::io, "the FUSE device cannot be polled"};
  }
  receiving = {&first};
  while (receiving.size() < shared.options.threads) {
    more_reactors.push_back(std::make_unique<Reactor>("ukai-fuse"));
    receiving.push_back(more_reactors.back().get());
  }
  for (Reactor* reactor : receiving) {
    reactor->add(device, EPOLLIN | EPOLLEXCLUSIVE, std::make_shared<Channel>(*this, *reactor));
  }
  return {};
}

/// Returns when no thread is in a request of ours any more.
void FuseSession::Impl::stop_receiving() {
  stopping = true;
  fuse_session_exit(session);
  std::latch left(static_cast<std::ptrdiff_t>(receiving.size()));
  for (Reactor* reactor : receiving) {
    reactor->remove(fuse_session_fd(session));
    reactor->post([&left] {
      fuse::current_buffer().reset();
      left.count_down();
    });
  }
  left.wait();
  receiving.clear();
  more_reactors.clear();
}

FuseSession::FuseSession(std::unique_ptr<Impl> impl) : impl_(std::move(impl)) {}

const std::string& FuseSession::mount_point() const { return impl_->path; }

Result<std::unique_ptr<FuseSession>> FuseSession::mount(FuseOptions options, HostDisks& disks,
                                                        Reactor& reactor,
                                                        std::function<void()> ended) {
  auto path = fuse::prepare_mount_point(options.mount_point, options.allow_nonempty);
  if (!path) return path.error();
  static std::once_flag once;
  std::call_once(once, [] { fuse_set_log_func(on_libfuse_log); });
  auto impl = std::make_unique<Impl>(std::move(options), disks);
  impl->path = *path;
  impl->ended = std::move(ended);
  const auto device = fuse::mount_device(*path, impl->shared.options);
  if (!device) return device.error();
  const auto operations = make_operations();
  fuse_args arguments = FUSE_ARGS_INIT(0, nullptr);
  fuse_opt_add_arg(&arguments, "ukaid");
  impl->session = fuse_session_new(&arguments, &operations, sizeof operations, &impl->shared);
  fuse_opt_free_args(&arguments);
  // libfuse would mount by itself, and at the end unmount whatever lies on the path by then.
  const std::string mounted = fmt::format("/dev/fd/{}", *device);
  if (impl->session == nullptr || fuse_session_mount(impl->session, mounted.c_str()) != 0) {
    if (impl->session != nullptr) fuse_session_destroy(impl->session);
    (void)fuse::take_mount_away(*path);
    ::close(*device);
    return Error{Code::invalid, fmt::format("libfuse refuses to serve {}", *path)};
  }
  if (auto started = impl->start_receiving(reactor); !started) {
    (void)fuse::take_mount_away(*path);
    fuse_session_destroy(impl->session);
    return started.error();
  }
  return std::unique_ptr<FuseSession>(new FuseSession(std::move(impl)));
}

void FuseSession::unmount() {
  std::lock_guard lock(impl_->unmount_mutex);
  if (impl_->unmounted) return;
  impl_->unmounted = true;
  // Once somebody else has unmounted it, the path is theirs.
  if (!impl_->ended_told.exchange(true) || fuse::is_dead_mount(impl_->path)) {
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
  fuse_session_destroy(impl_->session);
}

}  // namespace ukai
