// SPDX-License-Identifier: BSD-2-Clause
#pragma once

#include <sys/types.h>

#include <cstdint>
#include <string>

namespace ukai::test {

/// A real ZooKeeper server of Debian's package, for as long as the object lives: on a free port of
/// the loopback interface, its data in a temporary folder, without forced syncs. Sessions may be as
/// short as 200 ms. Ends with the thread that started it, come what may.
///
/// Errors: std::runtime_error with the server's output when it does not serve within 30 s.
class ZooKeeperServer {
 public:
  ZooKeeperServer();
  ~ZooKeeperServer();
  ZooKeeperServer(const ZooKeeperServer&) = delete;
  ZooKeeperServer& operator=(const ZooKeeperServer&) = delete;

  /// "127.0.0.1:PORT"
  std::string address() const;
  std::uint16_t port() const { return port_; }

  /// SIGSTOP and SIGCONT.
  void pause();
  void resume();
  /// SIGKILL; start() serves the same data on the same port again.
  void kill();
  void start();

 private:
  void spawn();
  bool serves() const;
  std::string output() const;

  std::string folder_;
  std::uint16_t port_ = 0;
  pid_t pid_ = 0;
};

}  // namespace ukai::test
