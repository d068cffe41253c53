// SPDX-License-Identifier: BSD-2-Clause
#include "worlds.h"

#include <atomic>
#include <stdexcept>
#include <thread>

#include "harness/tcp_proxy.h"
#include "metadata/memory_coordination.h"
#include "metadata/zookeeper_coordination.h"

namespace ukai::test {

namespace {

class MemoryClient final : public TestClient {
 public:
  MemoryClient(MemoryZooKeeper& tree, Scheduler& scheduler, ClientOptions options)
      : coordination_(tree, scheduler, {options.session_timeout, options.request_timeout}) {}
  Coordination& coordination() override { return coordination_; }
  void cut() override {
    coordination_.set_change_fault({});
    coordination_.suspend();
  }
  void heal() override { coordination_.resume(); }
  void lose_replies() override {
    coordination_.set_change_fault([](const auto&) { return ChangeFault::lose_reply; });
  }

 private:
  MemoryCoordination coordination_;
};

class MemoryWorld final : public World {
 public:
  std::unique_ptr<TestClient> connect(ClientOptions options) override {
    return std::make_unique<MemoryClient>(tree_, scheduler(), options);
  }

 private:
  MemoryZooKeeper tree_;
};

class ZooKeeperClient final : public TestClient {
 public:
  ZooKeeperClient(const std::string& chroot, Scheduler& scheduler, ClientOptions options)
      : proxy_(shared_server().port()) {
    ZooKeeperOptions zookeeper;
    zookeeper.address = proxy_.address() + chroot;
    zookeeper.session_timeout = options.session_timeout;
    zookeeper.request_timeout = options.request_timeout;
    auto made = make_zookeeper_coordination(std::move(zookeeper), scheduler);
    if (!made) throw std::runtime_error(made.error().what);
    coordination_ = std::move(*made);
  }
  Coordination& coordination() override { return *coordination_; }
  void cut() override { proxy_.cut(); }
  void heal() override { proxy_.heal(); }
  void lose_replies() override { proxy_.swallow_replies(); }

 private:
  TcpProxy proxy_;
  std::unique_ptr<Coordination> coordination_;
};

class ZooKeeperWorld final : public World {
 public:
  std::unique_ptr<TestClient> connect(ClientOptions options) override {
    return std::make_unique<ZooKeeperClient>(chroot_, scheduler(), options);
  }

 private:
  const std::string chroot_ = fresh_chroot() + "/and/below";
};

}  // namespace

std::unique_ptr<World> make_memory_world() { return std::make_unique<MemoryWorld>(); }
std::unique_ptr<World> make_zookeeper_world() { return std::make_unique<ZooKeeperWorld>(); }

ZooKeeperServer& shared_server() {
  static ZooKeeperServer server;
  return server;
}

std::string fresh_chroot() {
  static std::atomic<int> number{0};
  return "/test-" + std::to_string(++number);
}

bool eventually(const std::function<bool()>& holds) {
  const auto give_up = std::chrono::steady_clock::now() + std::chrono::seconds(20);
  while (!holds()) {
    if (std::chrono::steady_clock::now() > give_up) return false;
    std::this_thread::sleep_for(std::chrono::milliseconds(3));
  }
  return true;
}

}  // namespace ukai::test
