// SPDX-License-Identifier: BSD-2-Clause
//
// Many threads at one node: mostly for ThreadSanitizer, and for what must hold in any order.
#include <atomic>
#include <random>
#include <thread>

#include "base/asio_scheduler.h"
#include "node_peer.h"

namespace ukai::test {
namespace {

class Threads : public NodeTest {
 protected:
  AsioScheduler asio_{2};
  TestNode target_{"n1", asio_};
  TestNode source_{"n2", asio_};

  void run(const std::vector<std::function<void()>>& bodies) {
    std::vector<std::thread> threads;
    for (const auto& body : bodies) threads.emplace_back(body);
    for (auto& thread : threads) thread.join();
  }
};

TEST_F(Threads, nothing_of_an_old_session_is_applied_after_the_fence_has_answered) {
  ASSERT_TRUE(target_->fence(fence_request(1, 1)).ok());
  std::atomic<std::uint64_t> fenced{1};
  std::atomic<bool> stop{false};
  const auto writer = [&](std::uint64_t block) {
    while (!stop) {
      const std::uint64_t before = fenced.load();
      for (std::uint64_t session = before > 2 ? before - 2 : 1; session <= before + 1; ++session) {
        IoRequest request = write_of(block, std::to_string(session) + "   ", 0, session);
        request.epoch = Epoch{1};
        request.session = Session{session};
        const IoReply reply = *target_->handle(request, false);
        // `before` had been answered when this one was sent.
        if (session < before) {
          EXPECT_TRUE(failed(reply, Code::stale));
        }
      }
    }
  };
  const auto fencer = [&] {
    for (std::uint64_t session = 2; session < 60; ++session) {
      ASSERT_TRUE(target_->fence(fence_request(1, session)).ok());
      fenced = session;
    }
    stop = true;
  };
  const auto looker = [&] {
    while (!stop) {
      pb::DirtyListRequest list;
      *list.mutable_ref() = ref(1, fenced);
      (void)target_->dirty_list(list).ok();
      target_->health();
      std::this_thread::yield();
    }
  };
  run({[&] { writer(0); }, [&] { writer(1); }, fencer, looker});
}

TEST_F(Threads, copies_and_forwarded_writes_end_with_equal_blocks) {
  ASSERT_TRUE(target_->fence(fence_request(1, 1)).ok());
  ASSERT_TRUE(source_->fence(fence_request(1, 1)).ok());
  target_.peer = std::make_shared<NodePeer>(source_);
  epoch_ = session_ = 1;
  constexpr std::uint64_t shared_blocks = 4;
  for (std::uint64_t block = 0; block < shared_blocks; ++block)
    ASSERT_TRUE(source_->handle(write_of(block, std::string(block_size, 'o')), false)->ok);

  std::atomic<std::uint64_t> sequence{1};
  std::atomic<bool> stop{false};
  // Each writer has ranges of its own, as the holder's range locks see to it, and sends each change
  // to the target first: the order in which a copy is most easily deceived.
  const auto writer = [&](unsigned number) {
    std::mt19937 random(number);
    for (int i = 0; i < 300; ++i) {
      const std::uint64_t block = random() % shared_blocks;
      const std::uint64_t offset = (random() % 30 * 2 + number) * 4096;
      const std::string text(4096, static_cast<char>('a' + i % 26));
      const auto request = write_of(block, text, offset, ++sequence);
      EXPECT_TRUE(target_->handle(request, false)->ok);
      if (i % 8 == 0) std::this_thread::yield();
      EXPECT_TRUE(source_->handle(request, false)->ok);
      if (i % 50 == 0) {
        EXPECT_TRUE(target_->handle(io(IoOp::flush), false)->ok);
      }
    }
  };
  const auto copier = [&] {
    for (std::uint64_t block = 0; !stop || block < 2 * shared_blocks; ++block) {
      pb::PullRequest request;
      *request.mutable_ref() = ref(1, 1);
      request.set_block(block % shared_blocks);
      request.set_generation(1);
      request.set_source_node("n2");
      request.set_length(block_size);
      request.set_from_sequence(1);
      EXPECT_TRUE(sync_wait(target_->pull(request)).ok());
    }
  };
  const auto cleaner = [&] {
    while (!stop) {
      pb::CleanRequest request;
      *request.mutable_ref() = ref(1, 1);
      request.set_through_sequence(sequence > 10 ? sequence - 10 : 0);
      EXPECT_TRUE(target_->clean(request).ok());
      std::this_thread::yield();
    }
  };
  std::atomic<int> writing{2};
  const auto write_and_stop = [&](unsigned number) {
    writer(number);
    if (--writing == 0) stop = true;
  };
  run({[&] { write_and_stop(0); }, [&] { write_and_stop(1); }, copier, cleaner});
  for (std::uint64_t block = 0; block < shared_blocks; ++block) {
    const auto request = read_of(block, block_size);
    EXPECT_TRUE(target_->handle(request, false)->data.to_string() ==
                source_->handle(request, false)->data.to_string())
        << "block " << block;
  }
}

}  // namespace
}  // namespace ukai::test
