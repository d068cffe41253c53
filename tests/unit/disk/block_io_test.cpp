// SPDX-License-Identifier: BSD-2-Clause
#include "disk/block_io.h"

#include <gtest/gtest.h>

#include "attached_fixture.h"

namespace ukai {
namespace {

using namespace std::chrono_literals;

class BlockIoTest : public test::AttachedFixture {
 protected:
  void TearDown() override {
    core_.stop(Error{Code::shut_down, "the test is over"});
    for (std::size_t i = 0; i < links_.size(); ++i) answer_all(i, {});
    bool closed = false;
    spawn(core_.tasks.close(), [&] { closed = true; });
    scheduler.run_for(1s);
    EXPECT_TRUE(closed);
  }
  static BlockPart part() {
    BlockPart part;
    part.length_bytes = 4096;
    return part;
  }
  void write() {
    spawn_into<Result<>>(io_.change(part(), IoOp::write, Payload::zeros(4096)),
                         [this](Result<> done) { written_ = std::move(done); });
    scheduler.run_ready();
  }
  void read() {
    spawn_into<Result<Payload>>(io_.read(part(), std::nullopt),
                                [this](Result<Payload> data) { read_ = std::move(data); });
    scheduler.run_ready();
  }
  void answer_all(std::size_t index, const IoReply& reply) {
    for (std::size_t i = 0; i < links_[index]->asked.size(); ++i) {
      if (links_[index]->asked[i].done) links_[index]->answer(i, reply);
    }
    scheduler.run_ready();
  }
  void write_to_full_nodes() {
    write();
    for (std::size_t i = 0; i < 2; ++i) answer_all(i, IoReply::failed(Code::no_space, "full"));
  }
  bool missing(std::size_t index) {
    return record_of(core_.id).members(static_cast<int>(index)).missing();
  }
  /// Of both nodes, how many still have a read to answer.
  std::size_t reads_asked() const {
    std::size_t count = 0;
    for (const auto& link : links_) {
      for (const auto& asked : link->asked) count += asked.request.op == IoOp::read ? 1 : 0;
    }
    return count;
  }

  Membership membership_{core_};
  Repairer repairer_{core_};
  BlockIo io_{core_, membership_, repairer_};
  std::optional<Result<>> written_;
  std::optional<Result<Payload>> read_;
};

// A device that is full may have taken the first part of a write, and each replica's another one.
TEST_F(BlockIoTest, makes_replicas_equal_after_a_write_that_found_them_full) {
  links_[1]->pull_reply = pb::PullReply();
  write_to_full_nodes();
  ASSERT_TRUE(written_);
  EXPECT_TRUE(written_->failed_with(Code::no_space));
  ASSERT_EQ(links_[1]->pulled.size(), 1U);
  EXPECT_EQ(links_[1]->pulled[0].source_node(), "n1");
  EXPECT_FALSE(missing(0) || missing(1));
  read();
  EXPECT_EQ(reads_asked(), 1U) << "the range is free again";
}

TEST_F(BlockIoTest, marks_a_replica_that_is_too_full_to_be_made_equal) {
  links_[1]->pull_reply = Error{Code::no_space, "full"};
  write_to_full_nodes();
  ASSERT_TRUE(written_);
  EXPECT_TRUE(written_->failed_with(Code::no_space));
  read();
  EXPECT_EQ(reads_asked(), 0U) << "nobody may see what the replicas differ in";
  for (std::size_t i = 0; i < 2; ++i) answer_all(i, {});  // they are asked which of them failed
  EXPECT_FALSE(missing(0));
  EXPECT_TRUE(missing(1));
  EXPECT_EQ(reads_asked(), 1U);
}

}  // namespace
}  // namespace ukai
