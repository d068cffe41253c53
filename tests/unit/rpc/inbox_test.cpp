// SPDX-License-Identifier: BSD-2-Clause
#include "rpc/inbox.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cstring>
#include <random>
#include <string>
#include <vector>

namespace ukai {
namespace {

constexpr std::size_t record_bytes_max = 3U << 20;

std::string on_the_wire(const std::string& record) {
  const auto length = static_cast<std::uint32_t>(record.size());
  return std::string(reinterpret_cast<const char*>(&length), sizeof length) + record;
}

class InboxTest : public testing::Test {
 protected:
  /// Receives as much as fits, at most `most`.
  void receive(std::string& stream, std::size_t most) {
    const auto space = inbox_.space();
    ASSERT_FALSE(space.empty());
    const std::size_t length = std::min({space.size(), most, stream.size()});
    std::memcpy(space.data(), stream.data(), length);
    stream.erase(0, length);
    inbox_.received(length);
  }

  /// What is complete. The records live on while more is received.
  void take() {
    for (;;) {
      auto record = inbox_.next();
      ASSERT_TRUE(record.ok()) << record.error().what;
      if (!record->has_value()) return;
      records_.push_back(**record);
    }
  }

  const std::shared_ptr<BufferPool> pool_ = std::make_shared<BufferPool>(16U << 20);
  Inbox inbox_{pool_, record_bytes_max};
  std::vector<Payload> records_;
};

TEST_F(InboxTest, gives_the_same_records_however_the_stream_is_cut) {
  std::mt19937 dice(1);
  for (const std::size_t most : {std::size_t{1} << 30, std::size_t{70'000}, std::size_t{13}}) {
    std::vector<std::string> wanted{"", "a"};
    for (int i = 0; i < 200; ++i) {
      const std::size_t size =
          i % 50 == 49 && most > 100 ? dice() % record_bytes_max : dice() % 9000;
      wanted.emplace_back(most > 100 ? size : size % 300, static_cast<char>('a' + i % 26));
    }
    std::string stream;
    for (const std::string& record : wanted) stream += on_the_wire(record);
    records_.clear();
    while (!stream.empty()) {
      receive(stream, most);
      take();
    }
    ASSERT_EQ(records_.size(), wanted.size());
    for (std::size_t i = 0; i < wanted.size(); ++i) EXPECT_EQ(records_[i].to_string(), wanted[i]);
  }
}

TEST_F(InboxTest, receives_a_large_record_where_it_stays) {
  std::string stream = on_the_wire(std::string(1U << 20, 'x'));
  receive(stream, 100);
  take();
  receive(stream, 1U << 30);
  EXPECT_TRUE(stream.empty());
  take();
  ASSERT_EQ(records_.size(), 1U);
  EXPECT_EQ(records_[0].pieces().size(), 1U);
}

TEST_F(InboxTest, moves_nothing_where_one_large_record_follows_another) {
  const std::string one = on_the_wire(std::string((128U << 10) + 76, 'x'));
  std::string stream = one + one + one + one;
  receive(stream, 1U << 30);
  take();
  while (records_.empty()) {
    receive(stream, 1U << 30);
    take();
  }
  while (!stream.empty()) {
    const std::byte* const begin = inbox_.space().data();
    receive(stream, 1U << 30);
    take();
    EXPECT_EQ(records_.back().pieces()[0].data(), begin + 4);
  }
  EXPECT_EQ(records_.size(), 4U);
}

TEST_F(InboxTest, holds_no_large_buffer_while_nothing_comes) {
  std::string stream = on_the_wire(std::string(1U << 20, 'x'));
  while (records_.empty()) {
    receive(stream, 1U << 30);
    take();
  }
  records_.clear();
  const auto next = inbox_.space().size();  // whoever receives asks until there is nothing
  const std::size_t kept = pool_->kept_bytes();
  inbox_.rest();
  EXPECT_GE(pool_->kept_bytes(), kept + next);
  stream = on_the_wire("small");
  receive(stream, 1U << 30);
  take();
  ASSERT_EQ(records_.size(), 1U);
  EXPECT_EQ(records_[0].to_string(), "small");
}

TEST_F(InboxTest, refuses_a_record_that_is_too_long_as_soon_as_it_is_announced) {
  std::string stream = on_the_wire(std::string(record_bytes_max + 1, 'x')).substr(0, 4);
  receive(stream, 4);
  EXPECT_EQ(inbox_.next().error().what, "malformed message: 3145729 bytes long");
}

}  // namespace
}  // namespace ukai
