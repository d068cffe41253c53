// SPDX-License-Identifier: BSD-2-Clause
#include <gmock/gmock.h>

#include "node_fixture.h"
#include "ukai/limits.h"

namespace ukai::test {
namespace {

class DataPath : public NodeTest {
 protected:
  void SetUp() override { fence(1, 1); }
  const std::string page_ = std::string(4096, 'p');
};

TEST_F(DataPath, writes_reads_and_zeroes) {
  write(3, "hello", 100);
  EXPECT_EQ(read(3, 7, 99), std::string(1, '\0') + "hello" + std::string(1, '\0'));
  IoRequest zero = io(IoOp::zero, 3);
  zero.offset_bytes = 101;
  zero.length_bytes = 3;
  EXPECT_TRUE(send(zero).ok);
  EXPECT_EQ(read(3, 5, 100), std::string("h\0\0\0o", 5));
  EXPECT_TRUE(send(io(IoOp::ping)).ok);
  flush();
}

TEST_F(DataPath, tells_where_data_is) {
  write(3, page_, 8192);
  const std::string bytes = send(io(IoOp::extents, 3)).data.to_string();
  EXPECT_EQ(bytes, std::string("\0\x20\0\0\0\x30\0\0", 8)) << "8192..12288, little endian";
  EXPECT_TRUE(send(io(IoOp::extents, 4)).data.empty());
}

TEST_F(DataPath, bad_requests_are_refused_and_change_nothing) {
  std::vector<IoRequest> bad;
  bad.push_back(write_of(blocks, "x"));                // beyond the disk
  bad.push_back(write_of(~std::uint64_t{0}, "x"));     // far beyond
  bad.push_back(write_of(0, "xx", block_size - 1));    // beyond the block
  bad.push_back(write_of(0, "x", ~std::uint64_t{0}));  // offset + length overflows
  bad.push_back(write_of(0, ""));
  bad.push_back(read_of(0, 0));
  bad.push_back(read_of(0, limits::io_bytes_max + 1));
  bad.push_back(io(IoOp::extents, blocks));
  IoRequest request = write_of(0, "xyz");
  request.length_bytes = 2;  // more payload than length
  bad.push_back(request);
  request.length_bytes = 4;  // less
  bad.push_back(request);
  request = read_of(0, 1);
  request.data = payload_of("x");
  bad.push_back(request);
  request = write_of(0, "x");
  request.missing_mask = 8;  // a fourth member of three
  bad.push_back(request);
  request = io(IoOp::zero);
  request.length_bytes = block_size + 1;
  bad.push_back(request);
  bad.push_back(io(IoOp::read_disk));
  bad.push_back(io(static_cast<IoOp>(99)));
  for (const IoRequest& one : bad) {
    const IoReply reply = send(one);
    EXPECT_TRUE(failed(reply, Code::invalid)) << reply.what;
    EXPECT_FALSE(reply.what.empty());
    EXPECT_EQ(reply.what.find('\n'), std::string::npos);
  }
  EXPECT_TRUE(listed().empty());
  EXPECT_EQ(node.store.calls(Op::write), 0U);
  EXPECT_EQ(node.store.usage(disk_of(1))->blocks, 0U);
}

TEST_F(DataPath, answers_inline_only_what_needs_no_device) {
  const IoRequest cold = write_of(0, page_);
  const auto appends = node.store.calls(Op::append_file);
  EXPECT_FALSE(node->handle(cold, true).has_value()) << "would need the log";
  EXPECT_EQ(node.store.calls(Op::append_file), appends);
  EXPECT_EQ(node.store.calls(Op::write), 0U);
  EXPECT_TRUE(listed().empty());
  write(0, page_);
  EXPECT_TRUE(node->handle(cold, true).has_value()) << "hot now";
  EXPECT_FALSE(node->handle(write_of(0, "x"), true).has_value()) << "a part of a page";
  EXPECT_FALSE(node->handle(io(IoOp::flush), true).has_value());
  EXPECT_FALSE(node->handle(io(IoOp::extents), true).has_value());
  EXPECT_TRUE(node->handle(read_of(0, 10), true).has_value());
  node.store.set_cold(true);
  EXPECT_FALSE(node->handle(read_of(0, 10), true).has_value()) << "not in the page cache";
}

TEST_F(DataPath, a_hot_block_costs_no_log) {
  write(0, page_);
  const auto before = node.store.calls(Op::append_file) + node.store.calls(Op::replace_file);
  for (int i = 0; i < 100; ++i) write(0, page_, 4096, 2);
  EXPECT_EQ(node.store.calls(Op::append_file) + node.store.calls(Op::replace_file), before);
}

TEST_F(DataPath, a_full_store_says_so) {
  node.store.set_capacity(4096);
  write(0, page_);
  EXPECT_TRUE(failed(send(write_of(1, page_)), Code::no_space));
  EXPECT_TRUE(send(write_of(0, page_)).ok);
}

TEST_F(DataPath, a_failing_device_says_so) {
  node.store.fail_next(Op::write, Code::io);
  EXPECT_TRUE(failed(send(write_of(0, page_)), Code::io));
  EXPECT_EQ(listed(), Blocks{0}) << "a part of it may have been written";
  node.store.fail_next(Op::read, Code::corrupt);
  EXPECT_TRUE(failed(send(read_of(0, 1)), Code::corrupt));
}

TEST_F(DataPath, what_cannot_be_logged_is_not_applied) {
  write(0, page_);
  node.store.fail_next(Op::append_file, Code::no_space);
  EXPECT_TRUE(failed(send(write_of(1, page_)), Code::no_space));
  EXPECT_EQ(node.store.calls(Op::write), 1U);
  EXPECT_FALSE(node->handle(write_of(1, page_), true).has_value()) << "still not logged";
  write(1, page_);
  node.restart();
  fence(2, 1);
  EXPECT_EQ(listed(), (Blocks{0, 1})) << "and what was torn by the failure is whole again";
}

TEST_F(DataPath, counts_what_it_did) {
  write(0, page_);
  write(1, page_);
  read(0, 100);
  flush();
  const auto health = node->health();
  EXPECT_EQ(health.node_id(), "n1");
  EXPECT_EQ(health.boot_id(), "boot-1");
  EXPECT_EQ(health.disks(), 1U);
  EXPECT_EQ(health.writes(), 2U);
  EXPECT_EQ(health.written_bytes(), 8192U);
  EXPECT_EQ(health.reads(), 1U);
  EXPECT_EQ(health.read_bytes(), 100U);
  EXPECT_EQ(health.flushes(), 1U);
  EXPECT_EQ(health.used_bytes(), 8192U);
  EXPECT_EQ(health.capacity_bytes() - health.free_bytes(), 8192U);
  EXPECT_FALSE(health.version().empty());
}

TEST_F(DataPath, tells_what_a_disk_costs) {
  write(0, page_);
  IoRequest request = write_of(1, page_);
  request.missing_mask = n2_bit;
  EXPECT_TRUE(send(request).ok);
  pb::DiskUsageRequest usage;
  usage.set_disk_id(disk_of(1).to_string());
  const auto expect = [&] {
    const auto reply = node->disk_usage(usage);
    ASSERT_TRUE(reply.ok());
    EXPECT_EQ(reply->blocks(), 2U);
    EXPECT_EQ(reply->allocated_bytes(), 8192U);
    EXPECT_EQ(reply->active_blocks(), 2U);
    EXPECT_EQ(reply->missed_blocks(), 1U);
  };
  expect();
  node.restart();
  expect();  // before anybody has fenced
  usage.set_disk_id(disk_of(9).to_string());
  EXPECT_TRUE(node->disk_usage(usage).failed_with(Code::not_found));
}

class Hashes : public DataPath {
 protected:
  Result<pb::HashReply> hash(std::uint32_t chunk, std::uint32_t length = block_size) {
    pb::HashRequest request;
    *request.mutable_ref() = ref(1, 0);
    request.set_block(0);
    request.set_generation(1);
    request.set_chunk(chunk);
    request.set_length(length);
    return node->hash(request);
  }
};

TEST_F(Hashes, of_zeros_is_zero_whether_they_were_written_or_not) {
  write(0, std::string(64 << 10, '\0'));
  write(0, std::string(1, 'x'), 128 << 10);
  const auto reply = hash(64 << 10);
  ASSERT_TRUE(reply.ok());
  ASSERT_EQ(reply->hashes().size(), 4 * 16U);
  const std::string zero(16, '\0');
  EXPECT_EQ(reply->hashes().substr(0, 16), zero) << "written zeros";
  EXPECT_EQ(reply->hashes().substr(16, 16), zero) << "a hole";
  EXPECT_NE(reply->hashes().substr(32, 16), zero);
  EXPECT_EQ(reply->hashes().substr(48, 16), zero);
}

TEST_F(Hashes, is_the_published_function_in_big_endian) {
  write(0, "abc");
  const auto reply = hash(0, 3);
  ASSERT_TRUE(reply.ok());
  // XXH3-128 of "abc", as xxhsum -H128 prints it.
  std::string hex;
  for (const char byte : reply->hashes()) {
    constexpr std::string_view digits = "0123456789abcdef";
    hex += digits[static_cast<unsigned char>(byte) >> 4];
    hex += digits[static_cast<unsigned char>(byte) & 15];
  }
  EXPECT_EQ(hex, "06b05ab6733a618578af5f94892f3950");
}

TEST_F(Hashes, covers_the_whole_block_and_does_not_read_holes) {
  write(0, "x", block_size - 1);
  const auto reads = node.store.calls(Op::read);
  const auto whole = hash(0);
  ASSERT_TRUE(whole.ok());
  EXPECT_EQ(whole->hashes().size(), 16U);
  const auto chunks = hash(4096);
  ASSERT_TRUE(chunks.ok());
  EXPECT_EQ(chunks->hashes().size(), block_size / 4096 * 16);
  EXPECT_EQ(node.store.calls(Op::read), reads + 2) << "one piece each";
}

/// A block is a quarter of a MiB, and they are fetched 8 MiB ahead.
class FetchesAhead : public NodeTest {
 protected:
  static constexpr std::uint64_t ahead = 32;
  static constexpr std::uint64_t disk_blocks = 64;

  void SetUp() override { begin(Generation{1}); }
  void begin(Generation head) {
    auto request = fence_request(1, ++session_);
    request.set_size(disk_blocks * block_size);
    request.mutable_history()->set_head(raw(head));
    ASSERT_TRUE(node->fence(request).ok());
    epoch_ = 1;
    node.store.set_cold(true);
    node.store.set_hook([this](Op op, const BlockKey& key) {
      if (op == Op::will_read) fetched.push_back(raw(key.block));
    });
  }
  /// As a server does, and what it has put off.
  void read_piece(std::uint64_t block, std::uint32_t piece, std::uint32_t length = 64U << 10) {
    const IoRequest request = read_of(block, length, std::uint64_t{piece} * length);
    if (!node->handle(request, true)) send(request);
    scheduler.run_ready();
  }

  Blocks fetched;
};

TEST_F(FetchesAhead, for_a_reader_in_order) {
  read_piece(3, 0);
  EXPECT_EQ(fetched, Blocks{});
  read_piece(3, 1);
  EXPECT_EQ(fetched, Blocks{3 + ahead});
  for (const std::uint32_t piece : {2, 3}) read_piece(3, piece);
  for (const std::uint32_t piece : {0, 1}) read_piece(4, piece);
  EXPECT_EQ(fetched, (Blocks{3 + ahead, 4 + ahead}));
}

TEST_F(FetchesAhead, nothing_that_is_in_memory) {
  node.store.set_cold(false);
  for (const std::uint32_t piece : {0, 1}) read_piece(3, piece);
  EXPECT_EQ(fetched, Blocks{});
}

TEST_F(FetchesAhead, for_a_copy_too) {
  session_ = 0;
  for (const std::uint32_t piece : {0, 1}) send(read_of(3, 64U << 10, piece * (64U << 10)));
  scheduler.run_ready();
  EXPECT_EQ(fetched, Blocks{3 + ahead});
}

TEST_F(FetchesAhead, nothing_for_short_reads_or_behind_the_end_of_the_disk) {
  for (std::uint32_t piece = 0; piece < 64; ++piece) read_piece(3, piece, 4096);
  for (const std::uint32_t piece : {0, 1}) read_piece(disk_blocks - ahead, piece);
  EXPECT_EQ(fetched, Blocks{});
}

TEST_F(FetchesAhead, the_version_that_the_reader_sees) {
  write(3 + ahead, "old");
  begin(Generation{2});
  std::vector<BlockKey> keys;
  node.store.set_hook([&](Op op, const BlockKey& key) {
    if (op == Op::will_read) keys.push_back(key);
  });
  for (const std::uint32_t piece : {0, 1}) {
    IoRequest request = read_of(3, 64U << 10, piece * (64U << 10));
    request.generation = Generation{2};
    EXPECT_FALSE(node->handle(request, true)) << "it waits for the device";
    scheduler.run_ready();
  }
  EXPECT_EQ(keys, (std::vector{BlockKey{disk_of(1), BlockIndex{3 + ahead}, Generation{1}}}));
}

TEST_F(FetchesAhead, nothing_once_the_node_is_being_stopped) {
  for (const std::uint32_t piece : {0, 1}) {
    EXPECT_FALSE(node->handle(read_of(3, 64U << 10, piece * (64U << 10)), true));
  }
  node.stop();
  scheduler.run_ready();
  EXPECT_EQ(fetched, Blocks{});
}

TEST_F(Hashes, refuses_what_makes_no_sense) {
  EXPECT_TRUE(hash(16).failed_with(Code::invalid));
  EXPECT_TRUE(hash(4096, block_size + 1).failed_with(Code::invalid));
  EXPECT_TRUE(hash(4096, 0).failed_with(Code::invalid));
}

}  // namespace
}  // namespace ukai::test
