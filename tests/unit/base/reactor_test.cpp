// SPDX-License-Identifier: BSD-2-Clause
#include "base/reactor.h"

#include <gtest/gtest.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>

#include <atomic>
#include <latch>
#include <string>

namespace ukai {
namespace {

/// Does on the reactor's thread what a test says.
class Teller final : public Reactor::Source {
 public:
  explicit Teller(std::function<void()> what) : what_(std::move(what)) {}
  void ready(std::uint32_t /*events*/) override { what_(); }

 private:
  std::function<void()> what_;
};

class Note final : public Reactor::TurnEnd {
 public:
  explicit Note(std::string& to) : to_(to) {}
  void turn_ended() override { to_ += "end "; }

 private:
  std::string& to_;
};

void poke(const UniqueFd& event) {
  const std::uint64_t one = 1;
  ASSERT_EQ(::write(event.get(), &one, sizeof one), static_cast<ssize_t>(sizeof one));
}

TEST(ReactorTest, serves_a_descriptor_until_it_is_removed) {
  Reactor reactor("test");
  UniqueFd event(::eventfd(0, EFD_NONBLOCK));
  std::atomic<int> calls = 0;
  std::latch told(1);
  reactor.add(event.get(), EPOLLIN, std::make_shared<Teller>([&] {
                EXPECT_TRUE(reactor.is_current());
                std::uint64_t count = 0;
                EXPECT_EQ(::read(event.get(), &count, sizeof count), 8);
                if (++calls == 1) told.count_down();
              }));
  EXPECT_FALSE(reactor.is_current());
  poke(event);
  told.wait();
  reactor.remove(event.get());
  poke(event);
  std::latch after(1);
  reactor.post([&] { after.count_down(); });
  after.wait();
  EXPECT_EQ(calls, 1);
}

TEST(ReactorTest, a_descriptor_that_is_used_again_is_another_one) {
  Reactor reactor("test");
  UniqueFd event(::eventfd(0, EFD_NONBLOCK));
  std::atomic<int> old_calls = 0;
  std::latch told(1);
  reactor.add(event.get(), EPOLLIN, std::make_shared<Teller>([&] { ++old_calls; }));
  reactor.remove(event.get());
  reactor.add(event.get(), EPOLLIN, std::make_shared<Teller>([&] {
                reactor.remove(event.get());
                told.count_down();
              }));
  poke(event);
  told.wait();
  EXPECT_EQ(old_calls, 0);
}

TEST(ReactorTest, what_waits_for_the_end_of_a_turn_comes_after_the_turn) {
  Reactor reactor("test");
  std::string order;
  std::latch done(1);
  reactor.post([&] {
    reactor.at_turn_end(std::make_shared<Note>(order));
    order += "work ";
    reactor.post([&] {
      order += "next";
      done.count_down();
    });
  });
  done.wait();
  EXPECT_EQ(order, "work end next");
}

TEST(ReactorTest, ends_with_work_that_never_ran) {
  std::atomic<int> ran = 0;
  {
    Reactor reactor("test");
    std::latch go(1);
    reactor.post([&] { go.wait(); });
    for (int i = 0; i < 10; ++i) reactor.post([&] { ++ran; });
    go.count_down();
  }
  EXPECT_LE(ran, 10);
}

}  // namespace
}  // namespace ukai
