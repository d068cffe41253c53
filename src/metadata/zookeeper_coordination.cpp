// SPDX-License-Identifier: BSD-2-Clause
#include "metadata/zookeeper_coordination.h"

#include <utility>

#include "metadata/znode_rules.h"
#include "metadata/zookeeper_client.h"

namespace ukai {

namespace {

/// The Coordination interface on a zk::Client.
class ZooKeeperCoordination final : public Coordination {
 public:
  explicit ZooKeeperCoordination(std::shared_ptr<zk::Client> client) : client_(std::move(client)) {}
  ~ZooKeeperCoordination() override { client_->shut_down(); }
  ZooKeeperCoordination(const ZooKeeperCoordination&) = delete;
  ZooKeeperCoordination& operator=(const ZooKeeperCoordination&) = delete;

  Task<Result<Znode>> get(std::string path) override {
    if (auto fine = check_znode_path(path); !fine) co_return fine.error();
    auto answer = co_await ask(zk::Call::Kind::get, std::move(path));
    if (!answer) co_return answer.error();
    co_return std::move(answer->znode);
  }

  Task<Result<std::vector<std::string>>> children(std::string path) override {
    if (auto fine = check_znode_path(path); !fine) co_return fine.error();
    auto answer = co_await ask(zk::Call::Kind::children, std::move(path));
    if (!answer) co_return answer.error();
    co_return std::move(answer->names);
  }

  Task<Result<>> commit(std::vector<Op> ops) override {
    if (auto fine = check_transaction(ops); !fine) co_return fine.error();
    if (ops.empty()) co_return Unit{};
    for (Op& op : ops) op.path = client_->at_server(op.path);
    auto call = std::make_shared<zk::Call>(std::move(ops));
    client_->submit(call);
    auto answer = co_await call->answer;
    if (!answer) co_return answer.error();
    co_return Unit{};
  }

  Task<Result<>> sync() override {
    auto answer = co_await ask(zk::Call::Kind::sync, std::string("/"));
    if (!answer) co_return answer.error();
    co_return Unit{};
  }

  std::unique_ptr<Watch> watch(std::string path, bool children,
                               std::function<void()> changed) override {
    return client_->watch(path, children, std::move(changed));
  }
  SessionState session_state() const override { return client_->state(); }
  std::int64_t session_id() const override { return client_->session_id(); }
  std::int64_t session_timeout_ms() const override { return client_->session_timeout_ms(); }
  std::unique_ptr<Watch> on_session(std::function<void(SessionState)> listener) override {
    return client_->listen(std::move(listener));
  }

 private:
  Task<Result<zk::Answer>> ask(zk::Call::Kind kind, std::string path) {
    auto call = std::make_shared<zk::Call>(kind, client_->at_server(path));
    client_->submit(call);
    co_return co_await call->answer;
  }

  /// Shared with the handlers that the client has on the scheduler.
  const std::shared_ptr<zk::Client> client_;
};

}  // namespace

Result<std::unique_ptr<Coordination>> make_zookeeper_coordination(ZooKeeperOptions options,
                                                                  Scheduler& scheduler) {
  auto address = parse_metadata_address(options.address);
  if (!address) return address.error();
  auto client = std::make_shared<zk::Client>(std::move(options), std::move(*address), scheduler);
  if (auto started = client->start(); !started) {
    client->shut_down();
    return started.error();
  }
  return std::unique_ptr<Coordination>(std::make_unique<ZooKeeperCoordination>(std::move(client)));
}

}  // namespace ukai
