// SPDX-License-Identifier: BSD-2-Clause
#include "fuse/fuse_session.h"

#include <fmt/format.h>
#include <pthread.h>
#include <signal.h>
#include <unistd.h>

#include <atomic>
#include <cerrno>
#include <chrono>
#include <cstdarg>
#include <cstdio>
#include <mutex>
#include <thread>
#include <vector>

#include "base/log.h"
#include "fuse/mount.h"
#include "fuse/mount_point.h"
#include "ukai/limits.h"

namespace ukai {
namespace {

using namespace std::chrono_literals;

// Makes a blocked read(2) return; the handler does nothing. Sent until the thread has noticed.
constexpr int wake_signal = SIGUSR2;
constexpr auto wake_interval = 5ms;

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
  return operations;
}

void install_wake_signal() {
  struct sigaction action {};
  action.sa_handler = [](int) {};
  sigaction(wake_signal, &action, nullptr);  // without SA_RESTART
}

}  // namespace

struct FuseSession::Impl {
  Impl(FuseOptions options, HostDisks& disks) : shared(std::move(options), disks) {}

  void receive();
  void stop_receiving();

  fuse::Mount shared;
  std::string path;
  std::function<void()> ended;
  fuse_session* session = nullptr;
  std::vector<std::thread> threads;
  std::atomic<unsigned> receiving{0};  // threads that have not finished
  std::atomic<bool> stopping{false};
  std::atomic<bool> ended_told{false};
  std::mutex unmount_mutex;
  bool unmounted = false;  // guarded by unmount_mutex
};

/// One receiving thread. The buffer is replaced only when a payload in it was kept.
void FuseSession::Impl::receive() {
  pthread_setname_np(pthread_self(), "ukai-fuse");
  while (!stopping) {
    auto& buffer = fuse::current_buffer();
    if (!buffer || buffer->kept()) buffer = shared.buffers.take();
    fuse_buf received{};
    received.mem = buffer->memory();
    const int got = fuse_session_receive_buf(session, &received);
    buffer->set_memory(received.mem);
    if (got == -EINTR || got == -EAGAIN) continue;
    if (got <= 0) break;
    fuse_session_process_buf(session, &received);
  }
  fuse::current_buffer().reset();
  receiving.fetch_sub(1);
  if (!stopping && !ended_told.exchange(true) && ended) ended();
}

void FuseSession::Impl::stop_receiving() {
  stopping = true;
  fuse_session_exit(session);
  while (receiving.load() > 0) {
    for (auto& thread : threads) pthread_kill(thread.native_handle(), wake_signal);
    std::this_thread::sleep_for(wake_interval);
  }
  for (auto& thread : threads) thread.join();
  threads.clear();
}

FuseSession::FuseSession(std::unique_ptr<Impl> impl) : impl_(std::move(impl)) {}

const std::string& FuseSession::mount_point() const { return impl_->path; }

Result<std::unique_ptr<FuseSession>> FuseSession::mount(FuseOptions options, HostDisks& disks,
                                                        std::function<void()> ended) {
  auto path = fuse::prepare_mount_point(options.mount_point, options.allow_nonempty);
  if (!path) return path.error();
  static std::once_flag once;
  std::call_once(once, [] {
    fuse_set_log_func(on_libfuse_log);
    install_wake_signal();
  });
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
  impl->receiving = impl->shared.options.threads;
  for (unsigned i = 0; i < impl->shared.options.threads; ++i) {
    impl->threads.emplace_back([raw = impl.get()] { raw->receive(); });
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
