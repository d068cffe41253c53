// SPDX-License-Identifier: BSD-2-Clause
#include "daemon/process.h"

#include <poll.h>
#include <sys/prctl.h>
#include <sys/signalfd.h>
#include <unistd.h>

#include <array>
#include <csignal>
#include <random>
#include <string>
#include <thread>

#include "base/log.h"
#include "base/unique_fd.h"

namespace ukai {
namespace {

sigset_t stop_signals() {
  sigset_t set;
  ::sigemptyset(&set);
  ::sigaddset(&set, SIGTERM);
  ::sigaddset(&set, SIGINT);
  return set;
}

}  // namespace

void prepare_process() {
  const sigset_t set = stop_signals();
  ::pthread_sigmask(SIG_BLOCK, &set, nullptr);
  std::signal(SIGPIPE, SIG_IGN);
}

std::uint64_t random_incarnation() {
  std::random_device random;
  return (std::uint64_t{random()} << 32 | random()) | 1;
}

void wait_for_stop() {
  const sigset_t set = stop_signals();
  int number = 0;
  while (::sigwait(&set, &number) != 0) continue;
}

bool wait_for_stop(std::chrono::milliseconds patience) {
  const sigset_t set = stop_signals();
  timespec time{};
  time.tv_sec = patience.count() / 1000;
  time.tv_nsec = patience.count() % 1000 * 1'000'000;
  return ::sigtimedwait(&set, nullptr, &time) > 0;
}

bool wait_for_stop_or(int descriptor) {
  const sigset_t set = stop_signals();
  const UniqueFd signals(::signalfd(-1, &set, SFD_CLOEXEC));
  std::array<pollfd, 2> events{{{signals.get(), POLLIN, 0}, {descriptor, POLLIN, 0}}};
  for (;;) {
    static_cast<void>(::poll(events.data(), events.size(), -1));
    if (events[0].revents != 0 || !signals.valid()) {
      wait_for_stop();
      return true;
    }
    if (events[1].revents != 0) return false;
  }
}

void become_io_flusher() {
  if (::prctl(PR_SET_IO_FLUSHER, 1, 0, 0, 0) != 0) log::debug("event=no_io_flusher");
}

void leave_at_the_latest_after(std::chrono::milliseconds patience, std::string_view program) {
  std::thread([patience, name = std::string(program)] {
    std::this_thread::sleep_for(patience);
    log::warn("event=stopped program={} reason=\"a clean stop took too long\"", name);
    ::_exit(0);
  }).detach();
}

}  // namespace ukai
