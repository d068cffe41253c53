// SPDX-License-Identifier: BSD-2-Clause
#include "rpc/record_socket.h"

#include <sys/epoll.h>
#include <sys/socket.h>
#include <sys/uio.h>

#include <array>
#include <cerrno>
#include <cstring>
#include <system_error>

#include "rpc/channels.h"

namespace ukai {
namespace {

// One sendmsg takes 1,024 pieces.
constexpr std::size_t pieces_a_call = 256;
// Then others have their turn.
constexpr int receives_a_turn = 8;

std::string text_of(int error_number) { return std::generic_category().message(error_number); }

/// What is left of `prefix` and `payload` behind the first `skip` bytes; returns how many pieces.
std::size_t pieces_of(std::span<const std::byte> prefix, const Payload& payload, std::size_t skip,
                      std::span<iovec> out) {
  std::size_t count = 0;
  const auto add = [&](std::span<const std::byte> piece) {
    if (count == out.size()) return;
    if (skip >= piece.size()) {
      skip -= piece.size();
      return;
    }
    // iovec serves reading and writing, so it is not const; sendmsg only reads.
    out[count++] = {const_cast<std::byte*>(piece.data()) + skip, piece.size() - skip};
    skip = 0;
  };
  add(prefix);
  for (const Bytes& piece : payload.pieces()) add(piece.view());
  return count;
}

}  // namespace

void RecordSocket::start(std::shared_ptr<Owner> owner, bool connecting) {
  connecting_ = connecting;
  if (!connecting) suit_distance(fd_);
  {
    std::lock_guard lock(mutex_);
    owner_ = std::move(owner);
    events_ = connecting ? EPOLLOUT : EPOLLIN;
    open_ = true;
  }
  reactor_.add(fd_.get(), connecting ? EPOLLOUT : EPOLLIN, shared_from_this());
}

std::shared_ptr<RecordSocket::Owner> RecordSocket::owner() {
  std::lock_guard lock(mutex_);
  return owner_;
}

void RecordSocket::listen_for(std::uint32_t events, bool wanted) {
  std::lock_guard lock(mutex_);
  const std::uint32_t changed = wanted ? events_ | events : events_ & ~events;
  if (changed == events_ || !open()) return;
  events_ = changed;
  reactor_.change(fd_.get(), events_);
}

bool RecordSocket::write(Payload record) {
  outgoing_ = std::move(record);
  prefix_ = static_cast<std::uint32_t>(outgoing_.size());
  sent_ = 0;
  return send_rest();
}

bool RecordSocket::send_rest() {
  const auto prefix = std::as_bytes(std::span(&prefix_, 1));
  while (sent_ < prefix.size() + outgoing_.size()) {
    std::array<iovec, pieces_a_call> pieces;
    msghdr message{};
    message.msg_iov = pieces.data();
    message.msg_iovlen = pieces_of(prefix, outgoing_, sent_, pieces);
    const ssize_t put = ::sendmsg(fd_.get(), &message, MSG_NOSIGNAL | MSG_DONTWAIT);
    if (put >= 0) {
      sent_ += static_cast<std::size_t>(put);
      continue;
    }
    if (errno == EINTR) continue;
    // A connection that is broken is found by the reading side, which says so.
    if (errno == EAGAIN) listen_for(EPOLLOUT, true);
    return false;
  }
  outgoing_ = Payload();
  return true;
}

void RecordSocket::pause() {
  paused_ = true;
  listen_for(EPOLLIN, false);
}

void RecordSocket::resume() {
  // Under the mutex: after close() the reactor may be gone.
  std::lock_guard lock(mutex_);
  if (!open()) return;
  reactor_.post([self = shared_from_this()] {
    if (!self->paused_ || !self->open()) return;
    self->paused_ = false;
    self->hand_out();
    if (!self->paused_) self->listen_for(EPOLLIN, true);
  });
}

void RecordSocket::close() {
  std::shared_ptr<Owner> dropped;  // goes after the mutex is free
  {
    std::lock_guard lock(mutex_);
    if (!open_.exchange(false)) return;
    dropped = std::move(owner_);
  }
  reactor_.remove(fd_.get());
  // The peer hears of it now, though somebody may keep us a little longer.
  ::shutdown(fd_.get(), SHUT_RDWR);
}

void RecordSocket::lost(const std::string& why) {
  const auto told = owner();
  close();
  if (told) told->on_lost(*this, why);
}

void RecordSocket::ready(std::uint32_t events) {
  if (!open()) return;
  if (connecting_) return connected();
  if ((events & EPOLLOUT) != 0 && send_rest()) {
    listen_for(EPOLLOUT, false);
    if (const auto told = owner()) told->on_sent(*this);
  }
  const bool broken = (events & (EPOLLHUP | EPOLLERR)) != 0;
  if (broken && paused_) return lost("connection lost");
  if (broken || (events & EPOLLIN) != 0) receive();
}

void RecordSocket::connected() {
  int error = 0;
  socklen_t size = sizeof error;
  if (::getsockopt(fd_.get(), SOL_SOCKET, SO_ERROR, &error, &size) != 0) error = errno;
  if (error != 0) return lost(text_of(error));
  connecting_ = false;
  suit_distance(fd_);
  listen_for(EPOLLOUT, false);
  listen_for(EPOLLIN, true);
  if (const auto told = owner()) told->on_connected(*this);
}

void RecordSocket::receive() {
  for (int i = 0; i < receives_a_turn && open() && !paused_; ++i) {
    const auto space = inbox_.space();
    const ssize_t got = ::recv(fd_.get(), space.data(), space.size(), MSG_DONTWAIT);
    if (got < 0 && errno == EINTR) continue;
    if (got < 0 && errno == EAGAIN) return inbox_.rest();
    if (got < 0) return lost(text_of(errno));
    if (got == 0) return lost("it closed the connection");
    inbox_.received(static_cast<std::size_t>(got));
    hand_out();
    // Less than there was room for: nothing else is there now.
    if (static_cast<std::size_t>(got) < space.size()) return inbox_.rest();
  }
}

void RecordSocket::hand_out() {
  while (open() && !paused_) {
    auto record = inbox_.next();
    if (!record) return lost(record.error().what);
    if (!record->has_value()) return;
    if (const auto told = owner()) told->on_record(*this, std::move(**record));
  }
}

}  // namespace ukai
