// SPDX-License-Identifier: BSD-2-Clause
#pragma once

#include <map>
#include <memory>
#include <string>
#include <vector>

#include "ukai/node_link.h"

namespace ukai::test {

/// A node that keeps the data requests it is asked until the test answers, or never does.
class FakeLink final : public NodeLink {
 public:
  struct Asked {
    IoRequest request;
    Duration deadline;
    Done done;
  };
  std::vector<Asked> asked;
  Condition condition_now;
  std::vector<OneShot<Result<pb::DiskUsageReply>>> usage_asked;
  std::vector<pb::PullRequest> pulled;
  Result<pb::PullReply> pull_reply = away();
  Result<pb::DirtyListReply> dirty_list_reply = away();
  Result<pb::SetMissingReply> set_missing_reply = away();

  void answer(std::size_t index, IoReply reply) {
    const Done done = std::move(asked.at(index).done);
    done(std::move(reply));
  }

  void submit(IoRequest request, Duration deadline, Done done) override {
    asked.push_back({std::move(request), deadline, std::move(done)});
  }
  Condition condition() const override { return condition_now; }
  Task<Result<pb::DiskUsageReply>> disk_usage(pb::DiskUsageRequest /*request*/) override {
    OneShot<Result<pb::DiskUsageReply>> answered;
    usage_asked.push_back(answered);
    co_return co_await answered;
  }

  Task<Result<pb::FenceReply>> fence(pb::FenceRequest) override { co_return away(); }
  Task<Result<pb::DirtyListReply>> dirty_list(pb::DirtyListRequest) override {
    co_return dirty_list_reply;
  }
  Task<Result<pb::CleanReply>> clean(pb::CleanRequest) override { co_return away(); }
  Task<Result<pb::SetMissingReply>> set_missing(pb::SetMissingRequest) override {
    co_return set_missing_reply;
  }
  Task<Result<pb::PullReply>> pull(pb::PullRequest request) override {
    pulled.push_back(std::move(request));
    co_return pull_reply;
  }
  Task<Result<pb::HashReply>> hash(pb::HashRequest) override { co_return away(); }
  Task<Result<pb::CloneReply>> clone(pb::CloneRequest) override { co_return away(); }
  Task<Result<pb::HealthReply>> health() override { co_return away(); }

 private:
  static Error away() { return {Code::unreachable, "a fake answers data requests only"}; }
};

/// Nodes by name.
class FakeDirectory final : public NodeDirectory {
 public:
  std::map<NodeId, Entry> entries;

  std::shared_ptr<FakeLink> add(const std::string& node) {
    auto link = std::make_shared<FakeLink>();
    Entry entry;
    entry.link = link;
    entry.alive = true;
    entries[NodeId(node)] = entry;
    return link;
  }
  std::optional<Entry> find(const NodeId& node) const override {
    const auto found = entries.find(node);
    if (found == entries.end()) return std::nullopt;
    return found->second;
  }
  std::unique_ptr<Subscription> subscribe(std::function<void(NodeId)> /*changed*/) override {
    return nullptr;
  }
};

}  // namespace ukai::test
