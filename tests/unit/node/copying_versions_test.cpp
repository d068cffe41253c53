// SPDX-License-Identifier: BSD-2-Clause
//
// Copies of all versions of a block.
#include "copying_fixture.h"

namespace ukai::test {
namespace {

class CopyingVersions : public Copying {
 protected:
  static constexpr std::uint64_t head = 3;

  void SetUp() override {
    Copying::SetUp();
    tell(2);
  }
  /// Both nodes, of the generations up to `last`, of which only that one is kept.
  void tell(std::uint64_t last) {
    ++session_;
    auto request = fence_request(epoch_, session_);
    request.set_generation(last);
    request.mutable_history()->set_head(last);
    request.mutable_history()->add_kept(last);
    ASSERT_TRUE(node->fence(request).ok());
    ASSERT_TRUE(source_->fence(request).ok());
    run();
  }
  static void put(TestNode& to, IoRequest request, std::uint64_t generation) {
    request.generation = Generation{generation};
    const IoReply reply = *to->handle(request, false);
    ASSERT_TRUE(reply.ok) << reply.what;
  }
  std::string seen(TestNode& by) {
    IoRequest request = read_of(0, block_size);
    request.generation = Generation{head};
    const IoReply reply = *by->handle(request, false);
    EXPECT_TRUE(reply.ok) << reply.what;
    return reply.data.to_string();
  }
  static std::size_t versions(TestNode& of) {
    return (*of.store.versions(disk_of(1), BlockIndex{0}, false))->size();
  }
  pb::PullRequest pull_all() const {
    auto request = pull_request();
    request.set_generation(head);
    request.set_all_versions(true);
    return request;
  }
};

// Both are in sync, but for a change that nobody acknowledged: only the source took it, and has
// dropped what it hides since. If it goes away in the middle, the other one must still have what
// was acknowledged.
TEST_F(CopyingVersions, what_the_head_sees_outlasts_a_copy_that_ends_in_the_middle) {
  const std::string old(block_size, 'o');
  put(node, write_of(0, old), 2);
  put(source_, write_of(0, old), 2);
  tell(head);
  put(source_, write_of(0, std::string(4096, 'n')), head);
  ASSERT_TRUE(source_->handle(io(IoOp::flush), false)->ok);
  run();
  ASSERT_EQ(versions(source_), 1U);
  int answers = 0;  // which versions there are; the older one; then it is gone
  peer_->spoil_hash = [&](pb::HashReply& reply) {
    if (++answers > 2) reply.clear_hashes();
  };
  peer_->spoil = [](IoReply& reply) { reply = IoReply::failed(Code::unreachable, "gone"); };
  EXPECT_FALSE(pull(pull_all()).ok());
  EXPECT_GE(answers, 2);
  EXPECT_TRUE(seen(node) == old) << "first byte " << int{seen(node).front()};
  peer_->spoil_hash = nullptr;
  peer_->spoil = nullptr;
  ASSERT_TRUE(pull(pull_all()).ok());
  EXPECT_TRUE(seen(node) == seen(source_));
}

}  // namespace
}  // namespace ukai::test
