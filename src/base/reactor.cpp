// SPDX-License-Identifier: BSD-2-Clause
#include "base/reactor.h"

#include <pthread.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>

#include <array>
#include <cassert>
#include <cerrno>
#include <system_error>
#include <utility>

namespace ukai {
namespace {

constexpr int events_a_turn = 64;
constexpr std::uint64_t wake_key = ~std::uint64_t{0};

/// A process that has no descriptor left at its start cannot go on.
int must(int made, const char* what) {
  if (made < 0) throw std::system_error(errno, std::generic_category(), what);
  return made;
}

}  // namespace

Reactor::Reactor(std::string thread_name)
    : epoll_(must(::epoll_create1(EPOLL_CLOEXEC), "epoll_create1")),
      wake_(must(::eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK), "eventfd")) {
  epoll_event event{};
  event.events = EPOLLIN;
  event.data.u64 = wake_key;
  must(::epoll_ctl(epoll_.get(), EPOLL_CTL_ADD, wake_.get(), &event), "epoll_ctl");
  thread_ = std::thread([this, name = std::move(thread_name)] {
    pthread_setname_np(pthread_self(), name.substr(0, 15).c_str());
    run();
  });
  thread_id_ = thread_.get_id();
}

Reactor::~Reactor() {
  assert(!is_current());
  {
    std::lock_guard lock(mutex_);
    stopping_ = true;
  }
  post({});
  thread_.join();
  ending_.clear();
}

void Reactor::add(int fd, std::uint32_t events, std::shared_ptr<Source> source) {
  std::lock_guard lock(mutex_);
  Entry& entry = entries_[fd];
  entry.use = ++uses_;
  entry.source = std::move(source);
  epoll_event event{};
  event.events = events;
  event.data.u64 = key_of(fd, entry.use);
  must(::epoll_ctl(epoll_.get(), EPOLL_CTL_ADD, fd, &event), "epoll_ctl");
}

void Reactor::change(int fd, std::uint32_t events) {
  std::lock_guard lock(mutex_);
  const auto found = entries_.find(fd);
  if (found == entries_.end()) return;
  epoll_event event{};
  event.events = events;
  event.data.u64 = key_of(fd, found->second.use);
  ::epoll_ctl(epoll_.get(), EPOLL_CTL_MOD, fd, &event);
}

void Reactor::remove(int fd) {
  std::shared_ptr<Source> dropped;  // goes after the mutex is free
  std::lock_guard lock(mutex_);
  const auto found = entries_.find(fd);
  if (found == entries_.end()) return;
  dropped = std::move(found->second.source);
  entries_.erase(found);
  ::epoll_ctl(epoll_.get(), EPOLL_CTL_DEL, fd, nullptr);
}

void Reactor::post(std::function<void()> work) {
  {
    std::lock_guard lock(mutex_);
    if (work) posted_.push_back(std::move(work));
  }
  const std::uint64_t one = 1;
  // Full means that it will wake up anyway.
  static_cast<void>(!::write(wake_.get(), &one, sizeof one));
}

void Reactor::end_turn() {
  while (!ending_.empty()) {
    auto ending = std::exchange(ending_, {});
    for (const auto& who : ending) who->turn_ended();
  }
}

void Reactor::run() {
  std::array<epoll_event, events_a_turn> events;
  for (;;) {
    const int count = ::epoll_wait(epoll_.get(), events.data(), events_a_turn, -1);
    for (int i = 0; i < count; ++i) {
      const epoll_event& event = events.at(static_cast<std::size_t>(i));
      if (event.data.u64 == wake_key) {
        run_posted();
      } else {
        dispatch(event.data.u64, event.events);
      }
    }
    end_turn();
    std::lock_guard lock(mutex_);
    if (stopping_) return;
  }
}

void Reactor::dispatch(std::uint64_t key, std::uint32_t events) {
  std::shared_ptr<Source> source;
  {
    std::lock_guard lock(mutex_);
    const auto found = entries_.find(static_cast<int>(key & 0xFFFFFFFF));
    if (found == entries_.end() || found->second.use != key >> 32) return;
    source = found->second.source;
  }
  source->ready(events);
}

void Reactor::run_posted() {
  std::uint64_t times = 0;
  static_cast<void>(!::read(wake_.get(), &times, sizeof times));
  std::vector<std::function<void()>> posted;
  {
    std::lock_guard lock(mutex_);
    if (stopping_) return;
    posted.swap(posted_);
  }
  for (const auto& work : posted) work();
}

}  // namespace ukai
