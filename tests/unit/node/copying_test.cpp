// SPDX-License-Identifier: BSD-2-Clause
//
// Copying a block while changes to it go on (protocol.md, "Copying a block").
#include <gmock/gmock.h>

#include "copying_fixture.h"
#include "ukai/limits.h"

namespace ukai::test {
namespace {

using testing::HasSubstr;
constexpr std::uint32_t chunk = limits::copy_chunk_bytes;

TEST_F(Copying, fetches_only_what_differs) {
  write_source(0, std::string(block_size, 's'));
  write(0, std::string(block_size, 's'));
  write(0, "differs", chunk + 5);
  const auto reply = pull(pull_request());
  ASSERT_TRUE(reply.ok()) << reply.error().what;
  EXPECT_EQ(reply->bytes_compared(), block_size);
  EXPECT_EQ(reply->bytes_fetched(), chunk);
  EXPECT_EQ(peer_->reads, 1);
  expect_equal(0);
}

TEST_F(Copying, a_damaged_source_is_refused_unless_its_damage_is_wanted_as_well) {
  constexpr std::uint32_t unit = BlockStore::unit_bytes;
  write_source(0, std::string(block_size, 's'));
  write(0, std::string(block_size, 't'));
  source_.store.corrupt({disk_of(1), BlockIndex{0}}, chunk + unit);
  auto request = pull_request();
  EXPECT_TRUE(pull(request).failed_with(Code::corrupt));
  request.set_damage_too(true);
  const auto reply = pull(request);
  ASSERT_TRUE(reply.ok()) << reply.error().what;
  EXPECT_EQ(reply->lost_units(), 1U);
  EXPECT_TRUE(failed(send(read_of(0, unit, chunk + unit)), Code::corrupt));
  EXPECT_EQ(read(0, unit, chunk), std::string(unit, 's'));
  EXPECT_EQ(read(0, unit, chunk + 2 * unit), std::string(unit, 's'));
  EXPECT_EQ(read(0, chunk), std::string(chunk, 's'));
}

TEST_F(Copying, a_new_write_stands_where_the_source_is_damaged) {
  constexpr std::uint32_t unit = BlockStore::unit_bytes;
  write_source(0, std::string(block_size, 's'));
  source_.store.corrupt({disk_of(1), BlockIndex{0}}, unit);
  peer_->after_read = [this](const IoRequest& request) {
    if (request.op == IoOp::extents) write(0, std::string(unit, 'n'), unit, 9);
  };
  auto request = pull_request();
  request.set_damage_too(true);
  ASSERT_TRUE(pull(request).ok());
  EXPECT_EQ(read(0, unit, unit), std::string(unit, 'n'));
}

TEST_F(Copying, compares_nothing_where_nothing_is) {
  bool hashed = false;
  peer_->after_hash = [&] { hashed = true; };
  write_source(0, std::string(chunk, 's'), chunk);
  write_source(0, std::string(chunk, '\0'), 3 * chunk);  // written zeros
  const auto first = pull(pull_request());
  ASSERT_TRUE(first.ok());
  EXPECT_FALSE(hashed) << "the source would look at everything twice";
  EXPECT_LE(first->bytes_fetched(), 2 * chunk) << "holes are not sent";
  expect_equal(0);
  ASSERT_TRUE(pull(pull_request()).ok());
  EXPECT_TRUE(hashed);
}

TEST_F(Copying, equals_the_source_for_blocks_of_any_shape) {
  write_source(0, "begin");
  write_source(0, "end", block_size - 3);
  write(1, std::string(block_size, 't'));
  write_source(1, std::string(chunk, 's'), 2 * chunk);
  for (std::uint64_t block : {0, 1, 2}) {
    ASSERT_TRUE(pull(pull_request(block)).ok());
    expect_equal(block);
  }
}

TEST_F(Copying, zeros_are_not_sent_and_a_block_of_zeros_vanishes) {
  write(0, std::string(block_size, 't'));
  write_source(0, std::string(block_size, '\0'));  // written zeros
  const auto reply = pull(pull_request());
  ASSERT_TRUE(reply.ok());
  EXPECT_EQ(reply->bytes_fetched(), 0U);
  EXPECT_EQ(node.store.usage(disk_of(1))->blocks, 0U);
  expect_equal(0);
}

TEST_F(Copying, a_write_that_is_forwarded_meanwhile_is_never_covered) {
  write_source(0, std::string(block_size, 'o'));
  peer_->hold = true;
  start(pull_request());
  run();
  ASSERT_FALSE(peer_->held.empty());
  // The guest writes while the old data is on its way: to both, as the holder does.
  write(0, "new", chunk - 1);
  write_source(0, "new", chunk - 1);
  peer_->release();
  run();
  ASSERT_TRUE(outcome_ && outcome_->ok());
  EXPECT_EQ(read(0, 5, chunk - 2), "onewo");
  expect_equal(0);
}

TEST_F(Copying, a_discard_that_is_forwarded_meanwhile_is_never_covered) {
  write_source(0, std::string(block_size, 'o'));
  peer_->hold = true;
  start(pull_request());
  run();
  IoRequest zero = io(IoOp::zero);
  zero.offset_bytes = 4096;
  zero.length_bytes = 8192;
  EXPECT_TRUE(send(zero).ok);
  EXPECT_TRUE(source_->handle(zero, false)->ok);
  peer_->release();
  run();
  ASSERT_TRUE(outcome_ && outcome_->ok());
  expect_equal(0);
}

TEST_F(Copying, zeros_of_the_source_do_not_cover_a_forwarded_write) {
  write(0, std::string(block_size, 't'));
  peer_->after_hash = [&] {
    write(0, "new", 3 * chunk);
    write_source(0, "new", 3 * chunk);
  };
  ASSERT_TRUE(pull(pull_request()).ok());
  EXPECT_EQ(read(0, 4, 3 * chunk), std::string("new\0", 4));
  expect_equal(0);
}

TEST_F(Copying, v1_v2_v1_ends_as_v1_on_both_sides) {
  // Both hold v1. The guest writes v2, the copy reads it at the source, the guest writes v1 again;
  // at the target both writes come before what the copy has read.
  const std::string v1(4096, '1');
  const std::string v2(4096, '2');
  write(0, v1);
  write_source(0, v1);
  const auto both = [&](const std::string& text, std::uint64_t sequence) {
    write(0, text, 0, sequence);
    write_source(0, text);
  };
  peer_->hold = true;
  peer_->after_hash = [&] {
    peer_->after_hash = nullptr;
    write_source(0, v2);  // applied at the source first
  };
  write_source(0, "x", 5000);  // so that the chunk differs
  start(pull_request());
  run();
  ASSERT_EQ(peer_->held.size(), 1U) << "v2 is on its way";
  write(0, v2, 0, 2);
  both(v1, 3);
  peer_->release();
  run();
  ASSERT_TRUE(outcome_ && outcome_->ok());
  EXPECT_EQ(read(0, 4096), v1);
  expect_equal(0);
}

TEST_F(Copying, a_change_that_reached_the_target_first_is_not_undone_by_the_source_behind_it) {
  write_source(0, std::string(block_size, 'o'));
  // Sequence 7 is sent to both, and here before the copy begins; the source applies it only after
  // the copy has read there.
  write(0, "new", 100, 7);
  bool applied = false;
  peer_->after_read = [&](const IoRequest& request) {
    if (request.offset_bytes == 0 && !std::exchange(applied, true)) write_source(0, "new", 100);
  };
  auto request = pull_request();
  request.set_from_sequence(7);
  ASSERT_TRUE(pull(request).ok());
  EXPECT_TRUE(applied);
  EXPECT_EQ(read(0, 3, 100), "new");
  expect_equal(0);
}

TEST_F(Copying, what_was_written_before_the_named_sequence_is_the_sources_to_say) {
  write_source(0, std::string(block_size, 'o'));
  write(0, "old", 100, 6);  // of an earlier attempt; the source has been written since
  auto request = pull_request();
  request.set_from_sequence(7);
  ASSERT_TRUE(pull(request).ok());
  expect_equal(0);
  write(0, "alone", 100, 9);  // a write that failed elsewhere: nobody forwards
  request.set_from_sequence(0);
  ASSERT_TRUE(pull(request).ok());
  expect_equal(0);
}

TEST_F(Copying, a_newer_fence_ends_it_and_nothing_more_is_applied) {
  write_source(0, std::string(block_size, 'o'));
  peer_->hold = true;
  start(pull_request());
  run();
  fence(1, 2);
  write(0, "new session");
  peer_->release();
  run();
  ASSERT_TRUE(outcome_.has_value());
  EXPECT_TRUE(outcome_->failed_with(Code::stale));
  EXPECT_EQ(read(0, 12), std::string("new session\0", 12));
}

TEST_F(Copying, a_copy_of_the_old_session_does_not_disturb_one_of_the_new) {
  write_source(0, std::string(block_size, 'o'));
  peer_->hold = true;
  start(pull_request());
  run();
  auto old_answers = std::exchange(peer_->held, {});
  fence_both(1, 2);
  start(pull_request());
  run();
  ASSERT_FALSE(peer_->held.empty());
  for (auto& answer : old_answers) answer();
  scheduler.run_ready();
  EXPECT_TRUE(outcome_->failed_with(Code::stale)) << "the old one";
  outcome_.reset();
  EXPECT_TRUE(pull(pull_request()).failed_with(Code::busy)) << "the new one still counts";
  outcome_.reset();
  write(0, "new");
  write_source(0, "new");
  clean(100);
  EXPECT_EQ(listed(), Blocks{0}) << "still held";
  peer_->release();
  run();
  ASSERT_TRUE(outcome_ && outcome_->ok());
  expect_equal(0);
}

TEST_F(Copying, only_one_copy_of_a_block_at_a_time) {
  write_source(0, "x");
  peer_->hold = true;
  start(pull_request());
  run();
  EXPECT_TRUE(pull(pull_request()).failed_with(Code::busy));
  peer_->release();
  run();
  EXPECT_TRUE(pull(pull_request()).ok());
}

TEST_F(Copying, a_source_that_was_not_fenced_in_this_epoch_is_refused_and_named) {
  write_source(0, "x");
  fence(2, 1);  // the target alone
  const auto ahead = pull(pull_request());
  ASSERT_TRUE(ahead.failed_with(Code::not_admitted));
  EXPECT_THAT(ahead.error().what, HasSubstr("source n2"));
  ASSERT_TRUE(source_->fence(fence_request(3, 1)).ok());
  const auto behind = pull(pull_request());
  ASSERT_FALSE(behind.ok());
  EXPECT_NE(behind.code(), Code::stale) << "it is not this node's session that is over";
  EXPECT_EQ(read(0, 1), std::string(1, '\0'));
  source_.restart();
  EXPECT_FALSE(pull(pull_request()).ok());
}

TEST_F(Copying, a_source_that_fails_in_between_fails_the_copy_and_it_can_be_repeated) {
  write_source(0, std::string(block_size, 's'));
  int good = 1;
  peer_->spoil = [&](IoReply& reply) {
    if (good-- <= 0) reply = IoReply::failed(Code::unreachable, "gone");
  };
  EXPECT_TRUE(pull(pull_request()).failed_with(Code::unreachable));
  EXPECT_EQ(listed(), Blocks{0}) << "half copied";
  peer_->spoil = nullptr;
  EXPECT_TRUE(pull(pull_request()).ok());
  expect_equal(0);
}

TEST_F(Copying, answers_that_do_not_fit_are_refused) {
  write_source(0, std::string(block_size, 's'));
  for (const std::size_t size : {10U, 7U}) {  // data, and extents
    peer_->spoil = [size](IoReply& reply) {
      reply.data = reply.data.part(0, std::min(size, reply.data.size()));
    };
    EXPECT_TRUE(pull(pull_request()).failed_with(Code::corrupt));
  }
  peer_->spoil = nullptr;
  EXPECT_EQ(read(0, block_size), std::string(block_size, '\0'));
  write(0, std::string(block_size, 't'));
  peer_->spoil_hash = [](pb::HashReply& reply) { reply.mutable_hashes()->pop_back(); };
  EXPECT_TRUE(pull(pull_request()).failed_with(Code::corrupt));
  EXPECT_EQ(read(0, block_size), std::string(block_size, 't'));
}

TEST_F(Copying, bad_requests_are_refused_and_change_nothing) {
  write_source(0, "x");
  auto request = pull_request(blocks);
  EXPECT_TRUE(pull(request).failed_with(Code::invalid));
  request = pull_request();
  request.set_length(block_size + 1);
  EXPECT_TRUE(pull(request).failed_with(Code::invalid));
  request.set_length(0);
  EXPECT_TRUE(pull(request).failed_with(Code::invalid));
  request = pull_request();
  request.set_missing_mask(8);
  EXPECT_TRUE(pull(request).failed_with(Code::invalid));
  request = pull_request();
  request.set_source_node("n1");
  EXPECT_TRUE(pull(request).failed_with(Code::invalid));
  request = pull_request();
  request.mutable_ref()->set_session(0);
  EXPECT_TRUE(pull(request).failed_with(Code::invalid));
  node.peer = nullptr;
  EXPECT_TRUE(pull(pull_request()).failed_with(Code::unreachable));
  EXPECT_TRUE(listed().empty());
}

TEST_F(Copying, the_block_is_active_and_missed_before_it_changes_and_even_if_it_does_not) {
  write_source(0, "x");
  node.store.set_hook([&](Op op, const BlockKey&) {
    if (op == Op::write) {
      EXPECT_EQ(listed(), Blocks{0});
      EXPECT_EQ(listed("n3"), Blocks{0});
    }
  });
  auto request = pull_request();
  request.set_missing_mask(n3_bit);
  ASSERT_TRUE(pull(request).ok());
  request.set_block(1);  // equal: nothing there on either side
  ASSERT_TRUE(pull(request).ok());
  EXPECT_EQ(listed(), (Blocks{0, 1}));
  EXPECT_EQ(listed("n3"), (Blocks{0, 1}));
}

TEST_F(Copying, what_cannot_be_logged_is_not_copied) {
  write_source(0, "x");
  node.store.fail_next(Op::append_file, Code::no_space);
  EXPECT_TRUE(pull(pull_request()).failed_with(Code::no_space));
  EXPECT_EQ(read(0, 1), std::string(1, '\0'));
  EXPECT_TRUE(pull(pull_request()).ok());
}

TEST_F(Copying, a_copied_block_is_not_clean_before_it_is_flushed_here) {
  write_source(0, "x");
  write(1, "y", 0, 20);
  ASSERT_TRUE(pull(pull_request()).ok());
  clean(50);
  EXPECT_EQ(listed(), Blocks{0});
  flush();
  clean(50);
  EXPECT_TRUE(listed().empty());
  node.power_cut();
  fence(2, 1);
  EXPECT_EQ(read(0, 1), "x");
}

TEST_F(Copying, after_a_failed_flush_equal_hashes_prove_nothing) {
  const std::string text(block_size, 's');
  write_source(0, text);
  write(0, text);
  node.store.fail_next(Op::flush, Code::io);
  EXPECT_FALSE(send(io(IoOp::flush)).ok);
  fence_both(1, 2);
  EXPECT_EQ(read(0, 5), "sssss") << "the page cache shows it, the medium lacks it";
  const auto reply = pull(pull_request());
  ASSERT_TRUE(reply.ok());
  EXPECT_EQ(reply->bytes_fetched(), block_size);
  flush();
  clean(1, true);
  node.power_cut();
  EXPECT_FALSE(fence(2, 1).crashed());
  EXPECT_TRUE(read(0, block_size) == text);
}

TEST_F(Copying, heals_what_a_machine_crash_tore) {
  for (const std::uint64_t seed : {1, 2, 3}) {
    const std::string text(block_size, static_cast<char>('a' + seed));
    write(0, text);
    write_source(0, text);
    node.stop();
    node.store.power_cut(seed);
    node.restart();
    fence_both(1 + seed, 1);
    ASSERT_TRUE(pull(pull_request()).ok());
    expect_equal(0);
    EXPECT_TRUE(read(0, block_size) == text);
  }
}

TEST_F(Copying, keeps_to_its_rate) {
  write_source(0, std::string(block_size, 's'));
  auto request = pull_request();
  request.set_rate_bytes_per_s(block_size / 4);
  const TimePoint before = scheduler.now();
  ASSERT_TRUE(pull(request).ok());
  EXPECT_GE(scheduler.now() - before, std::chrono::seconds(4));
  EXPECT_LT(scheduler.now() - before, std::chrono::seconds(5));
}

TEST_F(Copying, several_reads_are_under_way_but_not_all) {
  auto big = fence_request(2, 1);
  big.mutable_ref()->set_disk_id(disk_of(2).to_string());
  big.set_block_size(4 << 20);
  big.set_size(4 << 20);
  ASSERT_TRUE(node->fence(big).ok());
  ASSERT_TRUE(source_->fence(big).ok());
  for (int i = 0; i < 4; ++i) {
    IoRequest request = write_of(0, std::string(1 << 20, 's'), std::uint64_t{1} << 20);
    request.disk = disk_of(2);
    request.epoch = Epoch{2};
    request.offset_bytes = static_cast<std::uint64_t>(i) << 20;
    ASSERT_TRUE(source_->handle(request, false)->ok);
  }
  auto request = pull_request();
  *request.mutable_ref() = ref(2, 1, 2);
  request.set_length(4 << 20);
  hold_reads();
  start(request);
  run();
  EXPECT_EQ(read_lengths_, std::vector<std::uint32_t>(2, 256U << 10))
      << "neighbours come in one answer";
  release_reads();
  run();
  ASSERT_TRUE(outcome_ && outcome_->ok());
  EXPECT_EQ((*outcome_)->bytes_fetched(), 4U << 20);
}

TEST_F(Copying, a_copy_that_gives_way_takes_one_piece_at_a_time) {
  write_source(0, std::string(block_size, 's'));
  hold_reads();
  auto request = pull_request();
  request.set_gives_way(true);
  start(request);
  run();
  EXPECT_EQ(read_lengths_, std::vector<std::uint32_t>(1, chunk));
  release_reads();
  run();
  ASSERT_TRUE(outcome_ && outcome_->ok());
  expect_equal(0);
}

TEST_F(Copying, a_node_with_enough_to_copy_says_so_at_once) {
  constexpr std::uint64_t taken = limits::node_copies_max + limits::node_copies_waiting_max;
  auto many = fence_request(2, 1);
  many.mutable_ref()->set_disk_id(disk_of(2).to_string());
  many.set_size((taken + 1) * block_size);
  ASSERT_TRUE(node->fence(many).ok());
  ASSERT_TRUE(source_->fence(many).ok());
  peer_->hold = true;
  auto request = pull_request();
  *request.mutable_ref() = ref(2, 1, 2);
  for (std::uint64_t block = 0; block < taken; ++block) {
    IoRequest write = write_of(0, "x", 0, block + 1);
    write.disk = disk_of(2);
    write.epoch = Epoch{2};
    write.block = BlockIndex{block};
    ASSERT_TRUE(source_->handle(write, false)->ok);
    request.set_block(block);
    start(request);
  }
  EXPECT_FALSE(outcome_.has_value());
  request.set_block(taken);
  start(request);
  ASSERT_TRUE(outcome_.has_value());
  EXPECT_TRUE(outcome_->failed_with(Code::busy));
  peer_->release();
  run();
  EXPECT_TRUE(outcome_->ok());
}

TEST_F(Copying, the_node_may_stop_while_a_copy_is_under_way) {
  write_source(0, std::string(block_size, 's'));
  peer_->hold = true;
  start(pull_request());
  run();
  node.stop();
  const auto writes = node.store.calls(Op::write);
  peer_->release();
  run();
  ASSERT_TRUE(outcome_.has_value());
  EXPECT_TRUE(outcome_->failed_with(Code::shut_down));
  EXPECT_EQ(node.store.calls(Op::write), writes);
}

TEST_F(Copying, a_disk_deleted_meanwhile_stays_deleted) {
  write_source(0, std::string(block_size, 's'));
  peer_->hold = true;
  start(pull_request());
  run();
  ASSERT_TRUE(node->delete_disk(disk_of(1)).ok());
  peer_->release();
  run();
  ASSERT_TRUE(outcome_.has_value());
  EXPECT_TRUE(outcome_->failed_with(Code::not_admitted));
  EXPECT_TRUE(node.store.disks()->empty());
}

}  // namespace
}  // namespace ukai::test
