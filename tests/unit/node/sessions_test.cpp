// SPDX-License-Identifier: BSD-2-Clause
//
// Fencing, restarts and crashes of a storage node (protocol.md, "Streams, sequences, fencing" and
// "Durable means durable").
#include <gmock/gmock.h>

#include <atomic>
#include <future>
#include <thread>

#include "node/session_record.h"
#include "node_fixture.h"

namespace ukai::test {
namespace {

using testing::HasSubstr;

class Sessions : public NodeTest {
 protected:
  Code refusal(const pb::FenceRequest& request) {
    auto reply = node->fence(request);
    EXPECT_FALSE(reply.ok());
    if (reply.ok()) return Code::io;
    EXPECT_EQ(reply.error().what.find('\n'), std::string::npos);
    return reply.code();
  }
};

TEST_F(Sessions, a_disk_that_was_never_fenced_is_not_served) {
  epoch_ = session_ = 1;
  EXPECT_TRUE(failed(send(write_of(0, "x")), Code::not_admitted));
  EXPECT_TRUE(failed(send(read_of(0, 1)), Code::not_admitted));
  EXPECT_TRUE(failed(send(io(IoOp::flush)), Code::not_admitted));
  EXPECT_TRUE(node.store.disks()->empty());
}

TEST_F(Sessions, serves_exactly_the_session_that_fenced_last) {
  const auto reply = fence(3, 5);
  EXPECT_EQ(reply.boot_id(), "boot-1");
  EXPECT_EQ(reply.incarnation(), 7U);
  EXPECT_EQ(reply.last_epoch(), 0U);
  EXPECT_FALSE(reply.crashed());
  write(0, "mine");
  const auto with = [&](std::uint64_t epoch, std::uint64_t session) {
    IoRequest request = write_of(0, "evil");
    request.epoch = Epoch{epoch};
    request.session = Session{session};
    return send(request);
  };
  EXPECT_TRUE(failed(with(2, 9), Code::stale));
  EXPECT_TRUE(failed(with(3, 4), Code::stale));
  EXPECT_TRUE(failed(with(3, 6), Code::not_admitted));
  EXPECT_TRUE(failed(with(4, 1), Code::not_admitted));
  EXPECT_EQ(read(0, 4), "mine");
}

TEST_F(Sessions, a_late_frame_of_an_older_session_of_the_same_epoch_is_refused) {
  fence(3, 1);
  const IoRequest late = write_of(0, "old");
  fence(3, 2);
  write(0, "new");
  EXPECT_TRUE(failed(send(late), Code::stale));
  EXPECT_EQ(read(0, 3), "new");
}

TEST_F(Sessions, a_fence_must_be_newer_than_what_was_seen) {
  fence(3, 5);
  write(0, "kept");
  EXPECT_EQ(refusal(fence_request(2, 9)), Code::stale);
  EXPECT_EQ(refusal(fence_request(3, 4)), Code::stale);
  EXPECT_EQ(refusal(fence_request(3, 5)), Code::stale);
  EXPECT_EQ(read(0, 4), "kept") << "the session in force goes on";
  EXPECT_EQ(fence(4, 1).last_epoch(), 3U);
}

TEST_F(Sessions, bad_fences_change_nothing) {
  auto request = fence_request(1, 1);
  request.set_cluster_id("other");
  EXPECT_EQ(refusal(request), Code::refused);
  EXPECT_THAT(node->fence(request).error().what, HasSubstr("cluster c, the holder to other"));
  EXPECT_EQ(refusal(fence_request(0, 1)), Code::invalid);
  EXPECT_EQ(refusal(fence_request(1, 0)), Code::invalid);
  EXPECT_EQ(refusal(fence_request(1, 1, 8)), Code::invalid) << "a fourth member of three";
  request = fence_request(1, 1);
  request.add_members("n2");
  EXPECT_EQ(refusal(request), Code::invalid);
  request = fence_request(1, 1);
  request.set_block_size(1000);
  EXPECT_EQ(refusal(request), Code::invalid);
  request = fence_request(1, 1);
  request.set_size(0);
  EXPECT_EQ(refusal(request), Code::invalid);
  request = fence_request(1, 1);
  request.mutable_ref()->set_disk_id("xyz");
  EXPECT_EQ(refusal(request), Code::invalid);
  request = fence_request(1, 1);
  request.set_generation(0);
  EXPECT_EQ(refusal(request), Code::invalid);
  request = fence_request(1, 1);
  for (int i = 0; i < 62; ++i) request.add_members("m" + std::to_string(i));
  EXPECT_EQ(refusal(request), Code::invalid) << "65 members";
  EXPECT_TRUE(node.store.disks()->empty());
}

TEST_F(Sessions, a_disk_keeps_its_block_size) {
  fence(1, 1);
  auto request = fence_request(2, 1);
  request.set_block_size(2 * block_size);
  EXPECT_EQ(refusal(request), Code::invalid);
  write(0, "x");
}

TEST_F(Sessions, an_epoch_is_durable_before_the_fence_is_answered) {
  fence(1, 1);
  fence(7, 3);
  const auto content = node.store.load_file(disk_of(1), "session");
  const auto record = SessionRecord::decode(**content, "session");
  ASSERT_TRUE(record.ok());
  EXPECT_EQ(record->epoch, Epoch{7});
  EXPECT_EQ(record->session, Session{3});
  EXPECT_EQ(record->boot_id, "boot-1");
}

TEST_F(Sessions, a_fence_that_cannot_be_made_durable_admits_nobody) {
  fence(1, 1);
  node.store.fail_next(Op::replace_file, Code::io);
  EXPECT_EQ(refusal(fence_request(2, 1)), Code::io);
  EXPECT_TRUE(failed(send(write_of(0, "old")), Code::stale)) << "the old session is over";
  epoch_ = 2;
  EXPECT_TRUE(failed(send(write_of(0, "new")), Code::not_admitted));
  fence(2, 2);
  write(0, "new");
}

TEST_F(Sessions, a_fence_waits_for_a_write_that_is_being_applied) {
  fence(1, 1);
  write(0, "....");  // hot
  std::promise<void> applying;
  std::promise<void> go_on;
  std::atomic<bool> first{true};
  node.store.set_hook([&](Op op, const BlockKey&) {
    if (op != Op::write || !first.exchange(false)) return;
    applying.set_value();
    go_on.get_future().wait();
  });
  std::thread writer([&] { write(0, "last"); });
  applying.get_future().wait();
  std::atomic<bool> fenced{false};
  std::thread fencer([&] {
    EXPECT_TRUE(node->fence(fence_request(2, 1)).ok());
    fenced = true;
  });
  // The fence waits: nothing is taken without waiting any more, and it has not answered.
  while (node->handle(io(IoOp::ping), true).has_value()) std::this_thread::yield();
  EXPECT_FALSE(fenced.load());
  go_on.set_value();
  writer.join();
  fencer.join();
  EXPECT_TRUE(failed(send(write_of(0, "late")), Code::stale));
  epoch_ = 2;
  EXPECT_EQ(read(0, 4), "last");
}

TEST_F(Sessions, session_zero_reads_under_the_epoch_in_force_and_nothing_else) {
  fence(3, 1);
  write(0, "data");
  IoRequest peer = read_of(0, 4);
  peer.session = Session{0};
  EXPECT_EQ(send(peer).data.to_string(), "data");
  peer.epoch = Epoch{2};
  EXPECT_TRUE(failed(send(peer), Code::stale));
  peer.epoch = Epoch{4};
  EXPECT_TRUE(failed(send(peer), Code::not_admitted));
  for (const IoOp op : {IoOp::write, IoOp::zero, IoOp::flush}) {
    IoRequest request = op == IoOp::write ? write_of(0, "evil") : io(op);
    request.length_bytes = 4;
    request.session = Session{0};
    EXPECT_TRUE(failed(send(request), Code::invalid));
  }
  EXPECT_EQ(read(0, 4), "data");
  pb::DirtyListRequest list;
  *list.mutable_ref() = ref(3, 0);
  EXPECT_TRUE(node->dirty_list(list).failed_with(Code::invalid));
}

TEST_F(Sessions, after_a_restart_nothing_is_served_until_the_holder_fences) {
  fence(3, 1);
  write(0, "data");
  node.restart();
  EXPECT_TRUE(failed(send(read_of(0, 4)), Code::not_admitted));
  IoRequest peer = read_of(0, 4);
  peer.session = Session{0};
  EXPECT_TRUE(failed(send(peer), Code::not_admitted));
  EXPECT_EQ(refusal(fence_request(3, 1)), Code::stale) << "a restarted node remembers";
  fence(3, 2);
  EXPECT_EQ(read(0, 4), "data");
}

TEST_F(Sessions, a_process_restart_on_the_same_boot_is_no_crash) {
  fence(3, 1);
  write(5, "data");
  node.restart();
  const auto reply = fence(4, 1);
  EXPECT_FALSE(reply.crashed());
  EXPECT_EQ(reply.active_count(), 1U);
  EXPECT_EQ(reply.last_epoch(), 3U);
  EXPECT_EQ(listed(), Blocks{5});
  EXPECT_EQ(read(5, 4), "data");
}

TEST_F(Sessions, a_machine_crash_with_active_blocks_is_reported_until_it_is_cleaned) {
  fence(3, 1);
  write(5, "data");
  node.power_cut();
  auto reply = fence(4, 1);
  EXPECT_TRUE(reply.crashed());
  EXPECT_EQ(reply.boot_id(), "boot-2");
  EXPECT_EQ(listed(), Blocks{5});
  EXPECT_EQ(read(5, 4), std::string(4, '\0')) << "what it lost";
  EXPECT_TRUE(fence(4, 2).crashed()) << "not forgotten by asking twice";
  node.restart();
  EXPECT_TRUE(fence(5, 1).crashed()) << "nor by a restart";
  clean(100);
  EXPECT_TRUE(fence(5, 2).crashed()) << "nor by cleaning what came after the crash";
  EXPECT_EQ(listed(), Blocks{5});
  scheduler.run_ready();  // its checksums are made to fit
  flush();
  clean(0, true);
  EXPECT_TRUE(listed().empty());
  node.restart();
  EXPECT_FALSE(fence(6, 1).crashed());
}

TEST_F(Sessions, a_machine_crash_without_active_blocks_lost_nothing) {
  fence(3, 1);
  write(5, "data", 0, 9);
  flush();
  clean(9);
  node.power_cut();
  EXPECT_FALSE(fence(4, 1).crashed());
  EXPECT_EQ(read(5, 4), "data");
}

TEST_F(Sessions, after_a_failed_flush_the_disk_is_not_served_until_a_fence_that_reports_it) {
  fence(3, 1);
  write(5, "data");
  node.store.fail_next(Op::flush, Code::io);
  EXPECT_TRUE(failed(send(io(IoOp::flush)), Code::io));
  EXPECT_TRUE(failed(send(read_of(5, 4)), Code::not_admitted));
  EXPECT_TRUE(failed(send(io(IoOp::flush)), Code::not_admitted)) << "a second one would lie";
  node.restart();
  EXPECT_TRUE(fence(3, 2).crashed()) << "known after a restart too";
  EXPECT_EQ(listed(), Blocks{5});
  clean(100);
  EXPECT_EQ(listed(), Blocks{5}) << "what was lost is not cleaned by a later flush";
  clean(0, true);
  EXPECT_FALSE(fence(3, 3).crashed());
}

TEST_F(Sessions, a_flush_that_ends_after_its_session_is_stale) {
  fence(3, 1);
  write(0, "x");
  const IoRequest request = io(IoOp::flush);
  node.store.set_hook([&](Op op, const BlockKey&) {
    if (op == Op::flush) {
      EXPECT_TRUE(node->fence(fence_request(3, 2)).ok());
    }
  });
  EXPECT_TRUE(failed(send(request), Code::stale));
}

TEST_F(Sessions, writes_to_a_frozen_generation_are_refused) {
  fence(3, 1, 0, Generation{2});
  IoRequest request = write_of(0, "two");
  request.generation = Generation{2};
  EXPECT_TRUE(send(request).ok);
  EXPECT_TRUE(failed(send(write_of(0, "one")), Code::stale));
  request.generation = Generation{3};
  EXPECT_TRUE(failed(send(request), Code::not_admitted)) << "nobody has told of it";
  auto again = fence_request(4, 1);
  again.set_generation(5);
  ASSERT_TRUE(node->fence(again).ok());
  node.restart();
  fence(5, 1);
  request = write_of(0, "two");
  request.generation = Generation{4};
  EXPECT_TRUE(failed(send(request), Code::stale)) << "known after a restart";
  EXPECT_EQ(read(0, 3), std::string(3, '\0')) << "frozen versions are read as ever";
}

TEST_F(Sessions, a_deleted_disk_is_gone_and_not_served) {
  fence(3, 1);
  write(0, "data");
  ASSERT_TRUE(node->delete_disk(disk_of(1)).ok());
  ASSERT_TRUE(node->delete_disk(disk_of(1)).ok()) << "repeating is not an error";
  EXPECT_TRUE(failed(send(read_of(0, 4)), Code::not_admitted));
  EXPECT_TRUE(failed(send(write_of(0, "data")), Code::not_admitted));
  EXPECT_TRUE(node.store.disks()->empty());
  node.restart();
  EXPECT_EQ(fence(1, 1).last_epoch(), 0U);
  EXPECT_EQ(read(0, 4), std::string(4, '\0'));
}

TEST_F(Sessions, a_damaged_session_file_blocks_its_disk_alone_and_is_named) {
  fence(3, 1);
  ASSERT_TRUE(node->fence(fence_request(3, 1, 0, 2)).ok());
  ASSERT_TRUE(node.store.replace_file(disk_of(1), "session", "rubbish").ok());
  node.restart();
  const auto reply = node->fence(fence_request(9, 1));
  ASSERT_TRUE(reply.failed_with(Code::corrupt));
  EXPECT_THAT(reply.error().what, HasSubstr(disk_of(1).to_string()));
  EXPECT_TRUE(node->fence(fence_request(9, 1, 0, 2)).ok());
}

TEST_F(Sessions, a_disk_grows_within_a_session) {
  fence(3, 1);
  EXPECT_TRUE(failed(send(write_of(blocks, "beyond")), Code::invalid));
  pb::SetMissingRequest request;
  *request.mutable_ref() = ref(3, 1);
  for (const char* name : {"n1", "n2", "n3"}) request.add_members(name);
  request.set_size((blocks + 1) * block_size);
  ASSERT_TRUE(node->set_missing(request).ok());
  write(blocks, "beyond");
  request.set_size(block_size);
  EXPECT_TRUE(node->set_missing(request).failed_with(Code::invalid));
}

}  // namespace
}  // namespace ukai::test
