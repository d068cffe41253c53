// SPDX-License-Identifier: BSD-2-Clause
#pragma once

#include <functional>
#include <vector>

#include "node_peer.h"

namespace ukai::test {

/// A source whose answers the test can hold back or spoil.
class HoldingPeer final : public NodePeer {
 public:
  using NodePeer::NodePeer;

  /// Runs after the peer has read, before its answer goes on its way.
  std::function<void(const IoRequest&)> after_read;
  std::function<void()> after_hash;
  std::function<void(IoReply&)> spoil;
  std::function<void(pb::HashReply&)> spoil_hash;
  bool hold = false;
  std::vector<std::function<void()>> held;
  int reads = 0;

  void submit(IoRequest request, Duration, Done done) override {
    if (request.op == IoOp::ping) return done(answer(request));
    ++reads;
    IoReply reply = answer(request);
    if (spoil) spoil(reply);
    if (after_read) after_read(request);
    auto deliver = [reply = std::move(reply), done = std::move(done)] { done(reply); };
    if (hold)
      held.push_back(std::move(deliver));
    else
      deliver();
  }
  Task<Result<pb::HashReply>> hash(pb::HashRequest request) override {
    auto reply = co_await NodePeer::hash(std::move(request));
    if (after_hash) after_hash();
    if (reply.ok() && spoil_hash) spoil_hash(*reply);
    co_return reply;
  }
  void release() {
    hold = false;
    for (auto& deliver : std::exchange(held, {})) deliver();
  }
};

}  // namespace ukai::test
