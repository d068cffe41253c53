// SPDX-License-Identifier: BSD-2-Clause
#pragma once

#include <functional>
#include <memory>
#include <string>

#include "base/asio_scheduler.h"
#include "harness/zookeeper_server.h"
#include "ukai/coordination.h"

namespace ukai::test {

/// One client of some Coordination, with the means to break its connection.
class TestClient {
 public:
  virtual ~TestClient() = default;
  virtual Coordination& coordination() = 0;
  virtual void cut() = 0;
  virtual void heal() = 0;
  /// From now on changes are applied but their answers are lost; until cut().
  virtual void lose_replies() = 0;
};

struct ClientOptions {
  Duration session_timeout = std::chrono::seconds(10);
  Duration request_timeout = std::chrono::seconds(10);
};

/// A tree of its own, and clients of it.
class World {
 public:
  virtual ~World() = default;
  virtual std::unique_ptr<TestClient> connect(ClientOptions options) = 0;
  std::unique_ptr<TestClient> connect() { return connect(ClientOptions{}); }
  Scheduler& scheduler() { return scheduler_; }

 private:
  AsioScheduler scheduler_{2};
};

std::unique_ptr<World> make_memory_world();
/// A chroot of its own on the one server of this program.
std::unique_ptr<World> make_zookeeper_world();

/// Started at its first use; ends with the program.
ZooKeeperServer& shared_server();
/// "/test-7": no two calls return the same.
std::string fresh_chroot();

/// Looks every few milliseconds, for 20 s at most (a loaded machine under sanitizers).
bool eventually(const std::function<bool()>& holds);

}  // namespace ukai::test
