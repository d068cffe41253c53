// SPDX-License-Identifier: BSD-2-Clause
#pragma once

#include "node_fixture.h"

namespace ukai::test {

/// Another node of this process as a copy's source: answers at once, on the asking thread, and only
/// what a copy asks.
class NodePeer : public NodeLink {
 public:
  explicit NodePeer(TestNode& node) : node_(node) {}

  void submit(IoRequest request, Duration, Done done) override { done(answer(request)); }
  Task<Result<pb::HashReply>> hash(pb::HashRequest request) override {
    co_return node_->hash(request);
  }

  Task<Result<pb::FenceReply>> fence(pb::FenceRequest) override { co_return none(); }
  Task<Result<pb::DirtyListReply>> dirty_list(pb::DirtyListRequest) override { co_return none(); }
  Task<Result<pb::CleanReply>> clean(pb::CleanRequest) override { co_return none(); }
  Task<Result<pb::SetMissingReply>> set_missing(pb::SetMissingRequest) override {
    co_return none();
  }
  Task<Result<pb::PullReply>> pull(pb::PullRequest) override { co_return none(); }
  Task<Result<pb::CloneReply>> clone(pb::CloneRequest) override { co_return none(); }
  Task<Result<pb::DiskUsageReply>> disk_usage(pb::DiskUsageRequest) override { co_return none(); }
  Task<Result<pb::HealthReply>> health() override { co_return none(); }
  Condition condition() const override { return {}; }

 protected:
  IoReply answer(const IoRequest& request) { return *node_->handle(request, false); }

 private:
  static Error none() { return Error{Code::unreachable, "not asked in these tests"}; }

  TestNode& node_;
};

}  // namespace ukai::test
