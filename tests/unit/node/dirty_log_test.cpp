// SPDX-License-Identifier: BSD-2-Clause
//
// What a node logs (protocol.md), and how it survives what happens to its file.
#include "node/dirty_log.h"

#include <gtest/gtest.h>

#include <future>
#include <random>
#include <set>
#include <thread>

#include "node_fixture.h"

namespace ukai::test {
namespace {

// -- through the node

class NodeLog : public NodeTest {
 protected:
  /// The sets as a restart would find them.
  Blocks on_medium(const std::string& missed_by) {
    DirtyLog log(node.store, disk_of(1), "n1");
    EXPECT_TRUE(log.load().ok());
    Blocks found;
    for (const LogSpan& span : missed_by.empty() ? log.active() : log.missed_by(missed_by))
      for (auto block = span.begin; block < span.end; block = next(block))
        found.push_back(raw(block));
    return found;
  }
  void write_missed(std::uint64_t block, std::uint64_t mask, std::uint64_t sequence = 1) {
    IoRequest request = write_of(block, "data", 0, sequence);
    request.missing_mask = mask;
    EXPECT_TRUE(send(request).ok);
  }
  void set_missing(std::uint64_t mask) {
    pb::SetMissingRequest request;
    *request.mutable_ref() = ref(epoch_, session_);
    for (const char* name : {"n1", "n2", "n3"}) request.add_members(name);
    request.set_missing_mask(mask);
    EXPECT_TRUE(node->set_missing(request).ok());
  }
};

TEST_F(NodeLog, has_active_and_missed_bits_on_the_medium_before_a_change_is_applied) {
  fence(1, 1);
  int changes = 0;
  node.store.set_hook([&](Op op, const BlockKey& key) {
    if (op != Op::write && op != Op::zero) return;
    ++changes;
    const std::uint64_t block = raw(key.block);
    EXPECT_EQ(on_medium("").back(), block);
    EXPECT_EQ(on_medium("n2"), Blocks{block});
    EXPECT_EQ(on_medium("n3"), block == 4 ? Blocks{4} : Blocks{});
  });
  write_missed(4, n2_bit | n3_bit);
  node.store.set_hook(nullptr);
  fence(1, 2);
  node.store.set_hook([&](Op op, const BlockKey&) {
    if (op != Op::zero) return;
    ++changes;
    EXPECT_EQ(on_medium("n2"), Blocks{5});
  });
  IoRequest zero = io(IoOp::zero, 5);
  zero.length_bytes = 4096;
  zero.missing_mask = n2_bit;
  EXPECT_TRUE(send(zero).ok);
  EXPECT_EQ(changes, 2);
}

TEST_F(NodeLog, a_crash_between_log_and_change_leaves_the_bits) {
  fence(1, 1);
  node.store.fail_next(Op::write, Code::io);
  IoRequest request = write_of(6, "data");
  request.missing_mask = n3_bit;
  EXPECT_FALSE(send(request).ok);
  node.power_cut();
  EXPECT_TRUE(fence(2, 1, n3_bit).crashed());
  EXPECT_EQ(listed(), Blocks{6});
  EXPECT_EQ(listed("n3"), Blocks{6});
}

TEST_F(NodeLog, a_hot_block_that_a_member_lacks_from_now_on_is_logged_again) {
  fence(1, 1);
  write(6, "data");
  write_missed(6, n2_bit);
  EXPECT_EQ(on_medium("n2"), Blocks{6});
}

TEST_F(NodeLog, active_is_cleared_only_through_the_sequence) {
  fence(1, 1);
  write(1, "x", 0, 5);
  write(2, "x", 0, 10);
  write(3, "x", 0, 4);
  write(3, "x", 0, 11);  // touched again
  clean(4);
  EXPECT_EQ(listed(), (Blocks{1, 2, 3}));
  clean(10);
  EXPECT_EQ(listed(), Blocks{3});
  EXPECT_EQ(on_medium(""), Blocks{3});
  write(1, "x", 0, 12);
  EXPECT_EQ(on_medium(""), (Blocks{1, 3})) << "cold again, so logged again";
}

TEST_F(NodeLog, what_earlier_epochs_touched_is_cleared_only_when_asked) {
  fence(1, 1);
  write(1, "x", 0, 5);
  fence(2, 1);
  write(2, "x", 0, 5);
  clean(5);
  EXPECT_EQ(listed(), Blocks{1});
  clean(0, true);
  EXPECT_TRUE(listed().empty());
}

TEST_F(NodeLog, a_fence_folds_active_into_missed_and_drops_who_is_present) {
  fence(1, 1, n3_bit);
  write(1, "x");
  write_missed(2, n3_bit);
  EXPECT_EQ(listed("n3"), (Blocks{1, 2})) << "missing since the fence, whatever the frame says";
  fence(2, 1, n2_bit);
  EXPECT_EQ(listed("n2"), (Blocks{1, 2})) << "folded";
  EXPECT_TRUE(listed("n3").empty()) << "dropped";
  EXPECT_EQ(listed(), (Blocks{1, 2})) << "still active";
  EXPECT_EQ(on_medium("n2"), (Blocks{1, 2}));
  EXPECT_TRUE(on_medium("n3").empty());
}

TEST_F(NodeLog, set_missing_folds_and_holds_for_frames_that_do_not_know_yet) {
  fence(1, 1);
  write(1, "x");
  set_missing(n2_bit);
  EXPECT_EQ(on_medium("n2"), Blocks{1});
  write(2, "x");  // sent before the holder knew
  write(1, "x");
  EXPECT_EQ(on_medium("n2"), (Blocks{1, 2}));
  set_missing(0);
  write(3, "x");
  EXPECT_EQ(listed("n2"), (Blocks{1, 2})) << "kept until it is healed";
}

TEST_F(NodeLog, a_healed_members_set_is_cleared_through_the_sequence) {
  fence(1, 1, n2_bit | n3_bit);
  write(1, "x", 0, 5);
  write(2, "x", 0, 10);
  clean(5, false, {"n2"});
  EXPECT_EQ(listed("n2"), Blocks{2});
  EXPECT_EQ(listed("n3"), (Blocks{1, 2})) << "not healed";
  clean(10, true, {"n2", "n3"});
  EXPECT_TRUE(on_medium("n2").empty());
  EXPECT_TRUE(on_medium("n3").empty());
  EXPECT_TRUE(on_medium("").empty());
}

TEST_F(NodeLog, what_is_cleared_from_active_stays_missed) {
  fence(1, 1, n2_bit);
  write(1, "x", 0, 5);
  clean(5);
  EXPECT_TRUE(listed().empty());
  EXPECT_EQ(listed("n2"), Blocks{1});
  node.power_cut();
  fence(2, 1, n2_bit);
  EXPECT_EQ(listed("n2"), Blocks{1});
}

TEST_F(NodeLog, never_says_of_itself_that_it_misses_what_it_has) {
  fence(1, 1, n1_bit | n2_bit);
  write_missed(1, n1_bit | n2_bit);
  EXPECT_TRUE(listed("n1").empty());
  EXPECT_EQ(listed("n2"), Blocks{1});
  EXPECT_EQ(listed(), Blocks{1});
}

TEST_F(NodeLog, members_are_known_by_name_not_by_place) {
  fence(1, 1, n2_bit);
  write(1, "x");
  node.restart();
  auto request = fence_request(2, 1);
  request.clear_members();
  for (const char* name : {"n9", "n3", "n2", "n1"}) request.add_members(name);
  request.set_missing_mask(4);  // n2
  ASSERT_TRUE(node->fence(request).ok());
  epoch_ = 2;
  EXPECT_EQ(listed("n2"), Blocks{1});
  EXPECT_TRUE(listed("n9").empty());
  EXPECT_TRUE(listed("nobody").empty());
}

TEST_F(NodeLog, keeps_generations_apart) {
  fence(1, 1, 0, Generation{2});
  write(1, "x");
  IoRequest request = write_of(1, "y");
  request.generation = Generation{2};
  EXPECT_TRUE(send(request).ok);
  pb::DirtyListRequest list;
  *list.mutable_ref() = ref(1, 1);
  const auto reply = node->dirty_list(list);
  ASSERT_TRUE(reply.ok());
  ASSERT_EQ(reply->blocks_size(), 2);
  EXPECT_EQ(reply->blocks(0).generation(), 1U);
  EXPECT_EQ(reply->blocks(1).generation(), 2U);
}

TEST_F(NodeLog, damage_in_the_middle_blocks_its_disk_alone_and_is_named) {
  fence(1, 1);
  for (std::uint64_t i = 0; i < 4; ++i) write(i, "x");
  ASSERT_TRUE(node->fence(fence_request(1, 1, 0, 2)).ok());
  std::string content = **node.store.load_file(disk_of(1), "dirty.log");
  content[content.size() / 2] = static_cast<char>(content[content.size() / 2] ^ 1);
  ASSERT_TRUE(node.store.replace_file(disk_of(1), "dirty.log", content).ok());
  node.restart();
  const auto reply = node->fence(fence_request(2, 1));
  ASSERT_TRUE(reply.failed_with(Code::corrupt));
  EXPECT_NE(reply.error().what.find(disk_of(1).to_string()), std::string::npos);
  EXPECT_NE(reply.error().what.find("dirty.log"), std::string::npos);
  EXPECT_TRUE(node->fence(fence_request(2, 1, 0, 2)).ok());
}

// -- the log by itself

class Log : public testing::Test {
 protected:
  using Op = MemoryBlockStore::Op;
  void SetUp() override {
    ASSERT_TRUE(store_.open_disk(disk_, block_size).ok());
    ASSERT_TRUE(log_.load().ok());
    ASSERT_TRUE(log_.start_session(members()).ok());
  }
  static MemberView members(std::uint64_t mask = 0) { return {{"n1", "n2", "n3"}, mask}; }
  static LogKey key(std::uint64_t block) { return {BlockIndex{block}, Generation{1}}; }
  static Touch at(std::uint64_t sequence) { return {Epoch{1}, Sequence{sequence}}; }
  static std::set<std::uint64_t> blocks_of(const std::vector<LogSpan>& spans) {
    std::set<std::uint64_t> found;
    for (const LogSpan& span : spans)
      for (auto block = span.begin; block < span.end; block = next(block)) found.insert(raw(block));
    return found;
  }
  static DirtyLog::Cleaning through(std::uint64_t sequence) {
    return {Epoch{1}, Sequence{sequence}, false, {}};
  }
  std::string file() { return **store_.load_file(disk_, "dirty.log"); }

  const DiskId disk_ = disk_of(1);
  MemoryBlockStore store_;
  DirtyLog log_{store_, disk_, "n1"};
};

TEST_F(Log, survives_a_tail_torn_at_any_byte) {
  ASSERT_TRUE(log_.touch(key(1), 0, at(1)).ok());
  const std::size_t whole = file().size();
  ASSERT_TRUE(log_.touch(key(2), 2, at(2)).ok());
  const std::string content = file();
  for (std::size_t size = whole; size < content.size(); ++size) {
    for (const bool zeros : {false, true}) {
      std::string torn = content.substr(0, size);
      if (zeros) torn.resize(content.size());  // the size was on the medium, the data was not
      if (torn == content) continue;
      ASSERT_TRUE(store_.replace_file(disk_, "dirty.log", torn).ok());
      DirtyLog log(store_, disk_, "n1");
      ASSERT_TRUE(log.load().ok()) << size;
      EXPECT_EQ(blocks_of(log.active()), std::set<std::uint64_t>{1});
      // And what comes after it is found again.
      ASSERT_TRUE(log.start_session(members()).ok());
      ASSERT_TRUE(log.touch(key(3), 0, at(3)).ok());
      DirtyLog again(store_, disk_, "n1");
      ASSERT_TRUE(again.load().ok()) << size;
      EXPECT_EQ(blocks_of(again.active()), (std::set<std::uint64_t>{1, 3}));
    }
  }
}

TEST_F(Log, finds_any_damage_before_its_last_append) {
  for (std::uint64_t i = 1; i < 5; ++i) ASSERT_TRUE(log_.touch(key(i), 0, at(i)).ok());
  const std::string content = file();
  const std::size_t last = content.rfind("UKDB");
  for (std::size_t i = 0; i < last; ++i) {
    std::string damaged = content;
    damaged[i] = static_cast<char>(damaged[i] ^ 0x40);
    ASSERT_TRUE(store_.replace_file(disk_, "dirty.log", damaged).ok());
    DirtyLog log(store_, disk_, "n1");
    EXPECT_FALSE(log.load().ok()) << "byte " << i;
  }
}

TEST_F(Log, refuses_a_newer_format) {
  std::string content = file();
  content[4] = 2;
  ASSERT_TRUE(store_.replace_file(disk_, "dirty.log", content).ok());
  DirtyLog log(store_, disk_, "n1");
  EXPECT_TRUE(log.load().failed_with(Code::refused));
}

TEST_F(Log, first_touches_at_the_same_time_share_an_append) {
  constexpr std::uint64_t threads = 8;
  std::promise<void> first_is_writing;
  std::promise<void> go_on;
  std::atomic<bool> first{true};
  store_.set_hook([&](Op op, const BlockKey&) {
    if (op != Op::append_file || !first.exchange(false)) return;
    first_is_writing.set_value();
    go_on.get_future().wait();
  });
  const auto before = store_.calls(Op::append_file);
  std::vector<std::thread> touching;
  touching.emplace_back([&] { EXPECT_TRUE(log_.touch(key(0), 0, at(1)).ok()); });
  first_is_writing.get_future().wait();
  std::atomic<std::uint64_t> started{0};
  for (std::uint64_t i = 1; i < threads; ++i) {
    touching.emplace_back([&, i] {
      ++started;
      EXPECT_TRUE(log_.touch(key(i), 0, at(1)).ok());
    });
  }
  // All have noted their change, and none is answered, before the first append ends.
  while (log_.counts().active < threads) std::this_thread::yield();
  EXPECT_FALSE(log_.touch_if_logged(key(1), 0, at(1)));
  go_on.set_value();
  for (auto& thread : touching) thread.join();
  EXPECT_EQ(store_.calls(Op::append_file), before + 2);
  EXPECT_TRUE(log_.touch_if_logged(key(1), 0, at(1)));
  DirtyLog again(store_, disk_, "n1");
  ASSERT_TRUE(again.load().ok());
  EXPECT_EQ(again.counts().active, threads);
}

TEST_F(Log, a_failed_append_fails_everybody_who_shared_it_and_is_made_good) {
  store_.fail_next(Op::append_file, Code::no_space);
  EXPECT_TRUE(log_.touch(key(1), 2, at(1)).failed_with(Code::no_space));
  EXPECT_FALSE(log_.touch_if_logged(key(1), 0, at(1)));
  store_.fail_next(Op::replace_file, Code::no_space);
  EXPECT_TRUE(log_.touch(key(1), 2, at(1)).failed_with(Code::no_space));
  EXPECT_TRUE(log_.touch(key(2), 0, at(2)).ok());
  EXPECT_TRUE(log_.touch_if_logged(key(1), 2, at(1))) << "the whole file has it";
  DirtyLog again(store_, disk_, "n1");
  ASSERT_TRUE(again.load().ok());
  EXPECT_EQ(blocks_of(again.active()), (std::set<std::uint64_t>{1, 2}));
  EXPECT_EQ(blocks_of(again.missed_by("n2")), std::set<std::uint64_t>{1});
}

TEST_F(Log, a_copied_block_stays_active_until_a_flush_that_began_after_the_copy) {
  const auto before = log_.flush_begins();
  log_.hold(key(1));
  ASSERT_TRUE(log_.touch(key(1), 0, at(0)).ok());
  const auto during = log_.flush_begins();
  log_.flush_succeeded(during);
  ASSERT_TRUE(log_.clean(through(100)).ok());
  EXPECT_EQ(log_.counts().active, 1U) << "being copied";
  const auto just_before_the_end = log_.flush_begins();
  log_.release(key(1));
  log_.flush_succeeded(before);
  log_.flush_succeeded(just_before_the_end);
  ASSERT_TRUE(log_.clean(through(100)).ok());
  EXPECT_EQ(log_.counts().active, 1U) << "that flush may have missed the last of it";
  log_.flush_succeeded(log_.flush_begins());
  ASSERT_TRUE(log_.clean(through(100)).ok());
  EXPECT_EQ(log_.counts().active, 0U);
}

TEST_F(Log, its_file_stays_in_proportion_to_its_content) {
  for (std::uint64_t round = 1; round < 20000; ++round) {
    ASSERT_TRUE(log_.touch(key(round % 7), 2, at(round)).ok());
    ASSERT_TRUE(log_.clean({Epoch{1}, Sequence{round}, false, {"n2"}}).ok());
  }
  EXPECT_LT(file().size(), 300U << 10);
}

TEST_F(Log, a_long_run_of_blocks_costs_little) {
  for (std::uint64_t i = 0; i < 5000; ++i) ASSERT_TRUE(log_.touch(key(i), 0, at(1)).ok());
  DirtyLog again(store_, disk_, "n1");
  ASSERT_TRUE(again.load().ok());
  EXPECT_EQ(again.active().size(), 1U);
  ASSERT_TRUE(again.start_session(members(2)).ok());  // folds, so writes the file anew
  EXPECT_LT(file().size(), 200U);
}

TEST_F(Log, the_last_of_64_members_counts) {
  MemberView many;
  for (int i = 0; i < 64; ++i) many.names.push_back("m" + std::to_string(i));
  ASSERT_TRUE(log_.start_session(many).ok());
  ASSERT_TRUE(log_.touch(key(1), std::uint64_t{1} << 63, at(1)).ok());
  DirtyLog again(store_, disk_, "n1");
  ASSERT_TRUE(again.load().ok());
  EXPECT_EQ(blocks_of(again.missed_by("m63")), std::set<std::uint64_t>{1});
  EXPECT_TRUE(again.missed_by("m0").empty());
}

TEST_F(Log, never_loses_an_answered_touch_under_random_faults_and_restarts) {
  std::mt19937 random(7);
  auto log = std::make_unique<DirtyLog>(store_, disk_, "n1");
  ASSERT_TRUE(log->load().ok());
  ASSERT_TRUE(log->start_session(members()).ok());
  std::set<std::uint64_t> active;  // what must be there at least
  std::set<std::uint64_t> missed;
  std::uint64_t sequence = 0;
  for (int step = 0; step < 3000; ++step) {
    const std::uint64_t block = random() % 50;
    if (random() % 10 == 0) store_.fail_next(Op::append_file, Code::io);
    if (random() % 20 == 0) store_.fail_next(Op::replace_file, Code::io);
    switch (random() % 20) {
      case 0: {
        store_.stop_failing();
        log = std::make_unique<DirtyLog>(store_, disk_, "n1");
        ASSERT_TRUE(log->load().ok());
        ASSERT_TRUE(log->start_session(members(missed.empty() ? 0 : 2)).ok());
        if (!missed.empty()) missed.insert(active.begin(), active.end());
        break;
      }
      case 1: {
        // Everything is clean, whether it could be written or not.
        (void)log->clean({Epoch{1}, Sequence{sequence}, true, {"n2"}}).ok();
        active.clear();
        missed.clear();
        store_.stop_failing();
        ASSERT_TRUE(log->set_missing(members()).ok());
        break;
      }
      default: {
        const std::uint64_t mask = random() % 2 * 2;
        ++sequence;
        if (log->touch_if_logged(key(block), mask, at(sequence)) ||
            log->touch(key(block), mask, at(sequence)).ok()) {
          active.insert(block);
          if (mask) missed.insert(block);
        }
      }
    }
    DirtyLog medium(store_, disk_, "n1");
    ASSERT_TRUE(medium.load().ok());
    const auto found = blocks_of(medium.active());
    const auto found_missed = blocks_of(medium.missed_by("n2"));
    ASSERT_TRUE(std::includes(found.begin(), found.end(), active.begin(), active.end())) << step;
    ASSERT_TRUE(
        std::includes(found_missed.begin(), found_missed.end(), missed.begin(), missed.end()))
        << step;
  }
}

}  // namespace
}  // namespace ukai::test
