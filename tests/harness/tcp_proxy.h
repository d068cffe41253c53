// SPDX-License-Identifier: BSD-2-Clause
#pragma once

#include <atomic>
#include <cstdint>
#include <string>
#include <thread>
#include <vector>

namespace ukai::test {

/// A link between a client and a server on the loopback interface that a test can break: what goes
/// through it is passed on, held up, or lost. One thread.
class TcpProxy {
 public:
  /// Passes connections on to 127.0.0.1:`target_port`.
  explicit TcpProxy(std::uint16_t target_port);
  ~TcpProxy();
  TcpProxy(const TcpProxy&) = delete;
  TcpProxy& operator=(const TcpProxy&) = delete;

  std::string address() const { return "127.0.0.1:" + std::to_string(port_); }

  /// Closes all connections and accepts none until heal().
  void cut();
  void heal();
  /// What the server says from now on is lost, until the connections are cut.
  void swallow_replies();
  /// Number of bytes the clients have sent to the server.
  std::uint64_t bytes_to_server() const { return bytes_to_server_; }

 private:
  struct Link {
    int client;
    int server;
  };
  void run();
  void accept_one();
  /// False when the connection has ended.
  bool pass(int from, int to, bool to_server);
  void close_links();

  const std::uint16_t target_port_;
  std::uint16_t port_ = 0;
  int listener_ = -1;
  std::atomic<bool> stop_{false};
  std::atomic<bool> cut_{false};
  std::atomic<bool> swallow_{false};
  std::atomic<std::uint64_t> bytes_to_server_{0};
  std::atomic<std::size_t> links_open_{0};
  std::vector<Link> links_;  // by the thread
  std::thread thread_;
};

}  // namespace ukai::test
