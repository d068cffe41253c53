// SPDX-License-Identifier: BSD-2-Clause
#pragma once

#include <gtest/gtest.h>

#include <memory>
#include <string>
#include <vector>

#include "harness/manual_scheduler.h"
#include "store/memory_block_store.h"
#include "ukai/storage_node.h"

namespace ukai::test {

inline constexpr std::uint32_t block_size = 256 << 10;
inline constexpr std::uint64_t blocks = 16;

inline DiskId disk_of(std::uint8_t number) {
  std::array<std::uint8_t, 16> bytes{};
  bytes[15] = number;
  return DiskId(bytes);
}

inline Payload payload_of(const std::string& text) { return Payload(Bytes::copy_of(text)); }

/// A machine with a store, and the node's process on it, which can be restarted.
class TestNode {
 public:
  TestNode(std::string id, Scheduler& scheduler) : id_(std::move(id)), scheduler_(scheduler) {
    start();
  }

  void restart() {
    node_.reset();
    store.restart_process();
    start();
  }
  void power_cut() {
    node_.reset();
    store.power_cut();
    ++boot_;
    start();
  }
  /// The same, except that some of what was not flushed is there.
  void power_cut(std::uint64_t seed) {
    node_.reset();
    store.power_cut(seed);
    ++boot_;
    start();
  }
  void stop() { node_.reset(); }
  StorageNode* operator->() { return node_.get(); }
  StorageNode& operator*() { return *node_; }

  MemoryBlockStore store;
  std::shared_ptr<NodeLink> peer;  ///< what its PeerFinder answers

 private:
  void start() {
    StorageNodeOptions options;
    options.id = NodeId(id_);
    options.cluster_id = "c";
    options.boot_id = "boot-" + std::to_string(boot_);
    options.incarnation = 7;
    options.peers = [this](const pb::PullRequest&) { return peer; };
    node_ = std::make_unique<StorageNode>(store, scheduler_, options);
  }

  const std::string id_;
  Scheduler& scheduler_;
  int boot_ = 1;
  std::unique_ptr<StorageNode> node_;
};

/// What a holder does, on one node n1 of a disk whose members are n1, n2, n3.
class NodeTest : public testing::Test {
 protected:
  using Op = MemoryBlockStore::Op;
  static constexpr std::uint64_t n1_bit = 1;
  static constexpr std::uint64_t n2_bit = 2;
  static constexpr std::uint64_t n3_bit = 4;

  static pb::SessionRef ref(std::uint64_t epoch, std::uint64_t session, std::uint8_t disk = 1) {
    pb::SessionRef ref;
    ref.set_disk_id(disk_of(disk).to_string());
    ref.set_epoch(epoch);
    ref.set_session(session);
    return ref;
  }
  static pb::FenceRequest fence_request(std::uint64_t epoch, std::uint64_t session,
                                        std::uint64_t missing = 0, std::uint8_t disk = 1) {
    pb::FenceRequest request;
    *request.mutable_ref() = ref(epoch, session, disk);
    request.set_disk_name("vm" + std::to_string(disk));
    request.set_size(blocks * block_size);
    request.set_block_size(block_size);
    request.set_generation(1);
    request.set_holder("h1");
    for (const char* name : {"n1", "n2", "n3"}) request.add_members(name);
    request.set_missing_mask(missing);
    request.set_cluster_id("c");
    return request;
  }
  /// Fences, telling of the generations up to `head`, and remembers the session for what follows.
  pb::FenceReply fence(std::uint64_t epoch, std::uint64_t session, std::uint64_t missing = 0,
                       Generation head = Generation{1}) {
    auto request = fence_request(epoch, session, missing);
    request.mutable_history()->set_head(raw(head));
    auto reply = node->fence(request);
    EXPECT_TRUE(reply.ok()) << reply.error().what;
    epoch_ = epoch;
    session_ = session;
    return reply.ok() ? *reply : pb::FenceReply{};
  }

  IoRequest io(IoOp op, std::uint64_t block = 0) const {
    IoRequest request;
    request.op = op;
    request.disk = disk_of(1);
    request.epoch = Epoch{epoch_};
    request.session = Session{session_};
    request.block = BlockIndex{block};
    return request;
  }
  IoRequest write_of(std::uint64_t block, const std::string& text, std::uint64_t offset = 0,
                     std::uint64_t sequence = 1) const {
    IoRequest request = io(IoOp::write, block);
    request.offset_bytes = offset;
    request.length_bytes = static_cast<std::uint32_t>(text.size());
    request.data = payload_of(text);
    request.sequence = Sequence{sequence};
    return request;
  }
  IoRequest read_of(std::uint64_t block, std::uint32_t length, std::uint64_t offset = 0) const {
    IoRequest request = io(IoOp::read, block);
    request.offset_bytes = offset;
    request.length_bytes = length;
    return request;
  }
  IoReply send(const IoRequest& request) {
    auto reply = node->handle(request, false);
    EXPECT_TRUE(reply.has_value());
    return reply ? *reply : IoReply{};
  }
  void write(std::uint64_t block, const std::string& text, std::uint64_t offset = 0,
             std::uint64_t sequence = 1) {
    const IoReply reply = send(write_of(block, text, offset, sequence));
    EXPECT_TRUE(reply.ok) << reply.what;
  }
  std::string read(std::uint64_t block, std::uint32_t length, std::uint64_t offset = 0) {
    const IoReply reply = send(read_of(block, length, offset));
    EXPECT_TRUE(reply.ok) << reply.what;
    return reply.data.to_string();
  }
  void flush() { EXPECT_TRUE(send(io(IoOp::flush)).ok); }

  /// Block numbers of generation 1 in the active set, or in a member's missed set.
  std::vector<std::uint64_t> listed(const std::string& missed_by = "") {
    pb::DirtyListRequest request;
    *request.mutable_ref() = ref(epoch_, session_);
    request.set_missed_by(missed_by);
    auto reply = node->dirty_list(request);
    EXPECT_TRUE(reply.ok()) << reply.error().what;
    std::vector<std::uint64_t> found;
    if (!reply.ok()) return found;
    for (const auto& span : reply->blocks())
      for (auto block = span.begin(); block < span.end(); ++block) found.push_back(block);
    return found;
  }
  void clean(std::uint64_t through, bool earlier_epochs = false,
             const std::vector<std::string>& healed = {}) {
    pb::CleanRequest request;
    *request.mutable_ref() = ref(epoch_, session_);
    request.set_through_sequence(through);
    request.set_earlier_epochs(earlier_epochs);
    for (const auto& name : healed) request.add_healed(name);
    auto reply = node->clean(request);
    EXPECT_TRUE(reply.ok()) << reply.error().what;
  }

  using Blocks = std::vector<std::uint64_t>;
  ManualScheduler scheduler;
  TestNode node{"n1", scheduler};
  std::uint64_t epoch_ = 0;
  std::uint64_t session_ = 0;
};

inline bool failed(const IoReply& reply, Code code) { return !reply.ok && reply.code == code; }

}  // namespace ukai::test
