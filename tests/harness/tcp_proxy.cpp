// SPDX-License-Identifier: BSD-2-Clause
#include "harness/tcp_proxy.h"

#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <array>
#include <chrono>
#include <stdexcept>

namespace ukai::test {

namespace {

constexpr int poll_ms = 5;

sockaddr_in loopback(std::uint16_t port) {
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  address.sin_port = htons(port);
  return address;
}

void send_at_once(int fd) {
  const int on = 1;
  setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
}

}  // namespace

TcpProxy::TcpProxy(std::uint16_t target_port) : target_port_(target_port) {
  listener_ = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
  sockaddr_in address = loopback(0);
  socklen_t length = sizeof address;
  const bool listens =
      bind(listener_, reinterpret_cast<sockaddr*>(&address), length) == 0 &&
      getsockname(listener_, reinterpret_cast<sockaddr*>(&address), &length) == 0 &&
      listen(listener_, 16) == 0;
  if (!listens) throw std::runtime_error("the proxy cannot listen");
  port_ = ntohs(address.sin_port);
  thread_ = std::thread([this] { run(); });
}

TcpProxy::~TcpProxy() {
  stop_ = true;
  thread_.join();
  close(listener_);
}

void TcpProxy::cut() {
  cut_ = true;
  while (links_open_ > 0) std::this_thread::sleep_for(std::chrono::milliseconds(1));
}

void TcpProxy::heal() { cut_ = false; }
void TcpProxy::swallow_replies() { swallow_ = true; }

void TcpProxy::run() {
  while (!stop_) {
    if (cut_) close_links();
    std::vector<pollfd> fds{{listener_, POLLIN, 0}};
    for (const Link& link : links_) {
      fds.push_back({link.client, POLLIN, 0});
      fds.push_back({link.server, POLLIN, 0});
    }
    if (poll(fds.data(), fds.size(), poll_ms) <= 0) continue;
    std::vector<Link> alive;
    for (std::size_t i = 0; i < links_.size(); ++i) {
      const Link link = links_[i];
      const bool goes_on = (!fds[1 + 2 * i].revents || pass(link.client, link.server, true)) &&
                           (!fds[2 + 2 * i].revents || pass(link.server, link.client, false));
      if (goes_on) {
        alive.push_back(link);
      } else {
        close(link.client);
        close(link.server);
      }
    }
    links_ = std::move(alive);
    links_open_ = links_.size();
    if (fds[0].revents) accept_one();
  }
  close_links();
}

void TcpProxy::accept_one() {
  const int client = accept4(listener_, nullptr, nullptr, SOCK_CLOEXEC);
  if (client < 0) return;
  const int server = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
  const sockaddr_in address = loopback(target_port_);
  if (cut_ || connect(server, reinterpret_cast<const sockaddr*>(&address), sizeof address) != 0) {
    close(client);
    close(server);
    return;
  }
  send_at_once(client);
  send_at_once(server);
  links_.push_back({client, server});
  links_open_ = links_.size();
}

bool TcpProxy::pass(int from, int to, bool to_server) {
  std::array<char, 64 << 10> buffer;
  const ssize_t got = recv(from, buffer.data(), buffer.size(), 0);
  if (got <= 0) return false;
  if (!to_server && swallow_) return true;
  if (to_server) bytes_to_server_ += static_cast<std::uint64_t>(got);
  return send(to, buffer.data(), static_cast<std::size_t>(got), MSG_NOSIGNAL) == got;
}

void TcpProxy::close_links() {
  for (const Link& link : links_) {
    close(link.client);
    close(link.server);
  }
  links_.clear();
  links_open_ = 0;
  swallow_ = false;
}

}  // namespace ukai::test
