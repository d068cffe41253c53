// SPDX-License-Identifier: BSD-2-Clause
#pragma once

#include <gtest/gtest.h>

#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "holding_peer.h"

namespace ukai::test {

/// n1 is the target, n2 the source. send(), write() and read() go to n1.
class Copying : public NodeTest {
 protected:
  using Outcome = Result<pb::PullReply>;

  void SetUp() override {
    peer_ = std::make_shared<HoldingPeer>(source_);
    node.peer = peer_;
    fence_both(1, 1);
  }
  void fence_both(std::uint64_t epoch, std::uint64_t session) {
    fence(epoch, session);
    ASSERT_TRUE(source_->fence(fence_request(epoch, session)).ok());
  }
  void write_source(std::uint64_t block, const std::string& text, std::uint64_t offset = 0) {
    auto reply = source_->handle(write_of(block, text, offset), false);
    ASSERT_TRUE(reply->ok) << reply->what;
  }
  std::string at_source(std::uint64_t block, std::uint32_t length, std::uint64_t offset = 0) {
    return source_->handle(read_of(block, length, offset), false)->data.to_string();
  }
  pb::PullRequest pull_request(std::uint64_t block = 0) const {
    pb::PullRequest request;
    *request.mutable_ref() = ref(epoch_, session_);
    request.set_block(block);
    request.set_generation(1);
    request.set_source_node("n2");
    request.set_length(block_size);
    return request;
  }
  /// Starts it; the outcome is in outcome_ once it has ended.
  void start(const pb::PullRequest& request) {
    outcome_.reset();
    spawn_into<Outcome>(node->pull(request),
                        [this](Outcome outcome) { outcome_ = std::move(outcome); });
  }
  void run() {
    while (scheduler.step()) {
    }
  }
  Outcome pull(const pb::PullRequest& request) {
    start(request);
    run();
    EXPECT_TRUE(outcome_.has_value());
    return outcome_.value_or(Outcome(Error{Code::io, "still under way"}));
  }
  void expect_equal(std::uint64_t block) {
    EXPECT_TRUE(read(block, block_size) == at_source(block, block_size)) << "block " << block;
  }

  /// The source's answers to reads wait until release_reads(); their lengths are in read_lengths_.
  void hold_reads() {
    peer_->after_read = [this](const IoRequest& read) {
      peer_->hold = read.op == IoOp::read;
      if (peer_->hold) read_lengths_.push_back(read.length_bytes);
    };
  }
  void release_reads() {
    peer_->after_read = nullptr;
    peer_->release();
  }

  TestNode source_{"n2", scheduler};
  std::shared_ptr<HoldingPeer> peer_;
  std::optional<Outcome> outcome_;
  std::vector<std::uint32_t> read_lengths_;
};

}  // namespace ukai::test
