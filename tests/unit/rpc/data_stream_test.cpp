// SPDX-License-Identifier: BSD-2-Clause
#include <arpa/inet.h>
#include <gtest/gtest.h>
#include <netinet/in.h>
#include <poll.h>
#include <sys/socket.h>

#include <atomic>
#include <condition_variable>
#include <deque>
#include <map>
#include <mutex>
#include <thread>

#include "base/asio_scheduler.h"
#include "rpc/channels.h"
#include "rpc/data_client.h"
#include "rpc/data_server.h"
#include "rpc/frame.h"
#include "rpc/greeting.h"
#include "ukai/limits.h"

namespace ukai {
namespace {

using namespace std::chrono_literals;

/// Answers reads with `length` bytes of their block's number, writes with nothing; what it was told
/// to hold it keeps until it is let go.
class FakeHandler final : public IoHandler {
 public:
  std::optional<IoReply> answer_now(const IoRequest& request) override {
    ++calls_;
    {
      std::lock_guard lock(mutex_);
      order_.push_back(raw(request.block));
    }
    if (request.op == IoOp::flush) return std::nullopt;
    return answer(request);
  }

  void start(IoRequest request, Done done) override {
    std::lock_guard lock(mutex_);
    held_.emplace_back(std::move(request), std::move(done));
    changed_.notify_all();
  }

  void wait_for_held(std::size_t count) {
    std::unique_lock lock(mutex_);
    ASSERT_TRUE(changed_.wait_for(lock, 10s, [&] { return held_.size() >= count; }));
  }

  void let_go() {
    std::deque<std::pair<IoRequest, Done>> held;
    {
      std::lock_guard lock(mutex_);
      held.swap(held_);
    }
    for (auto& [request, done] : held) done(answer(request));
  }

  std::size_t calls() const { return calls_; }
  std::vector<std::uint64_t> order() {
    std::lock_guard lock(mutex_);
    return order_;
  }

 private:
  static IoReply answer(const IoRequest& request) {
    if (request.op == IoOp::zero) return IoReply::failed(Code::stale, "an older epoch");
    IoReply reply;
    if (request.op == IoOp::read) {
      reply.data = Payload(
          Bytes::copy_of(std::string(request.length_bytes, static_cast<char>(raw(request.block)))));
    }
    return reply;
  }

  std::atomic<std::size_t> calls_ = 0;
  std::mutex mutex_;
  std::condition_variable changed_;
  std::deque<std::pair<IoRequest, Done>> held_;  // by mutex_
  std::vector<std::uint64_t> order_;             // by mutex_
};

/// Counts what comes back, and that nothing comes back twice.
class Answers {
 public:
  NodeLink::Done expect(std::uint64_t key) {
    {
      std::lock_guard lock(mutex_);
      ++wanted_;
    }
    return [this, key](IoReply reply) {
      std::lock_guard lock(mutex_);
      EXPECT_FALSE(replies_.contains(key)) << "answered twice: " << key;
      replies_[key] = std::move(reply);
      changed_.notify_all();
    };
  }

  std::map<std::uint64_t, IoReply>& wait() {
    std::unique_lock lock(mutex_);
    EXPECT_TRUE(changed_.wait_for(lock, 20s, [&] { return replies_.size() == wanted_; }))
        << replies_.size() << " of " << wanted_;
    return replies_;
  }

  std::size_t count() {
    std::lock_guard lock(mutex_);
    return replies_.size();
  }

 private:
  std::mutex mutex_;
  std::condition_variable changed_;
  std::size_t wanted_ = 0;                    // by mutex_
  std::map<std::uint64_t, IoReply> replies_;  // by mutex_
};

IoRequest request(IoOp op, std::uint64_t block, std::uint32_t length_bytes = 512) {
  IoRequest request;
  request.op = op;
  request.block = BlockIndex{block};
  request.length_bytes = length_bytes;
  if (op == IoOp::write) {
    request.data = Payload(Bytes::copy_of(std::string(length_bytes, static_cast<char>(block))));
  }
  return request;
}

template <class Condition>
bool eventually(Condition condition) {
  const auto deadline = std::chrono::steady_clock::now() + 20s;
  while (!condition()) {
    if (std::chrono::steady_clock::now() > deadline) return false;
    std::this_thread::sleep_for(1ms);
  }
  return true;
}

class DataStream : public testing::Test {
 protected:
  static void SetUpTestSuite() { prepare_grpc(); }

  std::unique_ptr<DataServer> serve(const std::string& listen = "127.0.0.1:0") {
    DataServerOptions options{listen, {node_identity("n1")}, 1};
    auto server = DataServer::start(options, handler_);
    EXPECT_TRUE(server.ok()) << server.error().what;
    return std::move(*server);
  }

  static std::string address_of(const DataServer& server) {
    return "127.0.0.1:" + std::to_string(server.port());
  }

  std::unique_ptr<DataClient> client(const std::string& address,
                                     const std::string& identity = node_identity("n1")) {
    DataClientOptions options{address, identity, "n1", [this] { ++connection_changes_; }};
    return std::make_unique<DataClient>(transport_, scheduler_, std::move(options));
  }

  AsioScheduler scheduler_{1};
  Transport transport_;
  FakeHandler handler_;
  Answers answers_;
  std::atomic<int> connection_changes_ = 0;
};

TEST_F(DataStream, answers_requests_that_were_submitted_before_it_was_connected) {
  auto server = serve();
  auto link = client(address_of(*server));
  EXPECT_FALSE(link->condition().connected);
  link->submit(request(IoOp::read, 7), 5s, answers_.expect(1));
  link->submit(request(IoOp::zero, 7), 5s, answers_.expect(2));
  auto& replies = answers_.wait();
  EXPECT_TRUE(replies[1].ok);
  EXPECT_EQ(replies[1].data.to_string(), std::string(512, '\x07'));
  EXPECT_FALSE(replies[2].ok);
  EXPECT_EQ(replies[2].code, Code::stale);
  EXPECT_EQ(replies[2].what, "an older epoch");
  EXPECT_TRUE(link->condition().connected);
  EXPECT_GT(link->condition().latency, Duration{});
  EXPECT_EQ(link->condition().in_flight, 0U);
  EXPECT_TRUE(eventually([&] { return connection_changes_ == 1; }));
}

TEST_F(DataStream, delivers_requests_in_the_order_in_which_they_were_submitted) {
  auto server = serve();
  auto link = client(address_of(*server));
  constexpr std::uint64_t count = 2000;
  for (std::uint64_t i = 0; i < count; ++i) {
    link->submit(request(i % 2 == 0 ? IoOp::read : IoOp::write, i), 10s, answers_.expect(i));
  }
  for (auto& [key, reply] : answers_.wait()) EXPECT_TRUE(reply.ok) << key << reply.what;
  const auto order = handler_.order();
  ASSERT_EQ(order.size(), count);
  for (std::uint64_t i = 0; i < count; ++i) EXPECT_EQ(order[i], i);
}

TEST_F(DataStream, carries_large_payloads_both_ways_without_mixing_them_up) {
  auto server = serve();
  auto link = client(address_of(*server));
  for (std::uint64_t i = 0; i < 32; ++i) {
    const IoOp op = i % 2 == 0 ? IoOp::read : IoOp::write;
    link->submit(request(op, i, limits::io_bytes_max), 20s, answers_.expect(i));
  }
  for (auto& [key, reply] : answers_.wait()) {
    ASSERT_TRUE(reply.ok) << reply.what;
    if (key % 2 == 0) {
      EXPECT_EQ(reply.data.to_string(), std::string(limits::io_bytes_max, static_cast<char>(key)));
    }
  }
}

TEST_F(DataStream, gives_a_silent_server_up_at_the_deadline_and_ignores_its_late_answer) {
  auto server = serve();
  auto link = client(address_of(*server));
  // Connected first: a request that times out before that is never sent.
  link->submit(request(IoOp::read, 0), 10s, answers_.expect(0));
  EXPECT_TRUE(answers_.wait()[0].ok);
  link->submit(request(IoOp::flush, 1), 300ms, answers_.expect(1));
  link->submit(request(IoOp::read, 2), 10s, answers_.expect(2));
  auto& replies = answers_.wait();
  EXPECT_EQ(replies[1].code, Code::unreachable);
  EXPECT_NE(replies[1].what.find("n1"), std::string::npos);
  EXPECT_TRUE(replies[2].ok);
  handler_.wait_for_held(1);
  handler_.let_go();
  // The stream goes on as if nothing had been.
  link->submit(request(IoOp::read, 3), 10s, answers_.expect(3));
  EXPECT_TRUE(answers_.wait()[3].ok);
}

TEST_F(DataStream, fails_everything_in_flight_at_once_when_the_server_goes_and_comes_back) {
  auto server = serve();
  const std::string address = address_of(*server);
  auto link = client(address);
  for (std::uint64_t i = 0; i < 20; ++i) {
    link->submit(request(IoOp::flush, i), 60s, answers_.expect(i));
  }
  handler_.wait_for_held(20);
  server.reset();
  for (auto& [key, reply] : answers_.wait()) EXPECT_EQ(reply.code, Code::unreachable) << key;
  handler_.let_go();  // too late; nobody must be told

  EXPECT_TRUE(eventually([&] { return !link->condition().connected; }));
  EXPECT_FALSE(link->condition().last_error.empty());
  server = serve(address);
  EXPECT_TRUE(eventually([&] { return link->condition().connected; }));
  link->submit(request(IoOp::read, 100), 10s, answers_.expect(100));
  EXPECT_TRUE(answers_.wait()[100].ok);
}

TEST_F(DataStream, fails_at_once_while_nobody_listens) {
  auto server = serve();
  const std::string address = address_of(*server);
  server.reset();
  auto link = client(address);
  const auto begin = std::chrono::steady_clock::now();
  link->submit(request(IoOp::read, 1), 60s, answers_.expect(1));
  EXPECT_EQ(answers_.wait()[1].code, Code::unreachable);
  EXPECT_LT(std::chrono::steady_clock::now() - begin, 10s);
}

TEST_F(DataStream, refuses_clients_that_mean_somebody_else) {
  auto server = serve();
  auto link = client(address_of(*server), node_identity("n2"));
  link->submit(request(IoOp::write, 1), 20s, answers_.expect(1));
  auto& replies = answers_.wait();
  EXPECT_EQ(replies[1].code, Code::unreachable);
  EXPECT_NE(replies[1].what.find("meant for node/n2, but this is node/n1"), std::string::npos)
      << replies[1].what;
  EXPECT_EQ(handler_.calls(), 0U);
}

TEST_F(DataStream, takes_no_more_than_its_bound_from_a_stream_until_replies_have_left) {
  auto server = serve();
  auto link = client(address_of(*server));
  constexpr std::uint64_t count = limits::stream_work_frames_max + 500;
  for (std::uint64_t i = 0; i < count; ++i) {
    link->submit(request(IoOp::flush, i), 60s, answers_.expect(i));
  }
  handler_.wait_for_held(limits::stream_work_frames_max);
  std::this_thread::sleep_for(20ms);
  EXPECT_LT(handler_.calls(), limits::stream_work_frames_max + limits::batch_frames_max);
  EXPECT_EQ(answers_.count(), 0U);
  while (answers_.count() < count) {
    handler_.let_go();
    std::this_thread::yield();
  }
  for (auto& [key, reply] : answers_.wait()) EXPECT_TRUE(reply.ok) << key;
}

TEST_F(DataStream, refuses_more_requests_than_the_queue_holds) {
  auto server = serve();
  auto link = client(address_of(*server));
  for (std::uint64_t i = 0; i <= limits::stream_queue_frames_max; ++i) {
    link->submit(request(IoOp::flush, i), 60s, answers_.expect(i));
  }
  EXPECT_TRUE(eventually([&] { return answers_.count() > 0; }));
  link.reset();
  auto& replies = answers_.wait();
  EXPECT_EQ(replies[limits::stream_queue_frames_max].code, Code::unreachable);
  EXPECT_EQ(replies[0].code, Code::shut_down);
  handler_.let_go();
}

TEST_F(DataStream, the_client_may_go_inside_one_of_its_own_answers) {
  auto server = serve();
  auto link = client(address_of(*server));
  link->submit(request(IoOp::flush, 2), 60s, answers_.expect(2));
  auto count = answers_.expect(1);
  link->submit(request(IoOp::read, 1), 60s, [&](IoReply reply) {
    link.reset();
    count(std::move(reply));
  });
  auto& replies = answers_.wait();
  EXPECT_TRUE(replies[1].ok);
  EXPECT_EQ(replies[2].code, Code::shut_down);
}

TEST_F(DataStream, survives_servers_and_clients_coming_and_going_under_load) {
  std::uint64_t key = 0;
  for (int round = 0; round < 10; ++round) {
    auto server = serve();
    auto link = client(address_of(*server));
    std::thread other([&, first = key + 1000] {
      for (std::uint64_t i = 0; i < 300; ++i) {
        link->submit(request(IoOp::write, i, 4096), 10s, answers_.expect(first + i));
      }
    });
    for (std::uint64_t i = 0; i < 300; ++i) {
      link->submit(request(i % 10 == 0 ? IoOp::flush : IoOp::read, i), 10s,
                   answers_.expect(key + i));
    }
    if (round % 2 == 0) server.reset();
    other.join();
    if (round % 3 == 0) link.reset();
    server.reset();
    link.reset();
    handler_.let_go();
    key += 10'000;
  }
  EXPECT_EQ(answers_.wait().size(), 6000U);
}

TEST_F(DataStream, a_port_in_use_is_one_clear_line) {
  auto server = serve();
  DataServerOptions options{address_of(*server), {}, 1};
  auto second = DataServer::start(options, handler_);
  ASSERT_FALSE(second.ok());
  EXPECT_EQ(second.code(), Code::busy);
  EXPECT_EQ(second.error().what,
            "cannot listen on " + address_of(*server) + ": Address already in use");
  options.listen = "127.0.0.1";
  EXPECT_EQ(DataServer::start(options, handler_).code(), Code::invalid);
  options.listen = "192.0.2.1:0";  // not an address of this machine
  EXPECT_EQ(DataServer::start(options, handler_).code(), Code::invalid);
}

/// One end of a connection that says whatever it is told to, in blocking steps.
class Stranger {
 public:
  explicit Stranger(UniqueFd socket) : socket_(std::move(socket)) {}
  static Stranger call(std::uint16_t port) {
    UniqueFd socket(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
    sockaddr_in at{};
    at.sin_family = AF_INET;
    at.sin_port = htons(port);
    at.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    EXPECT_EQ(::connect(socket.get(), reinterpret_cast<const sockaddr*>(&at), sizeof at), 0);
    return Stranger(std::move(socket));
  }

  void say(const std::string& record) { say(record, record.size()); }
  void say(const std::string& record, std::size_t announced) {
    const auto length = static_cast<std::uint32_t>(announced);
    std::string all(reinterpret_cast<const char*>(&length), sizeof length);
    all += record;
    EXPECT_EQ(::send(socket_.get(), all.data(), all.size(), MSG_NOSIGNAL),
              static_cast<ssize_t>(all.size()));
  }
  /// nullopt: the other side has hung up.
  std::optional<std::string> hear() {
    std::uint32_t length = 0;
    if (!receive(reinterpret_cast<char*>(&length), sizeof length)) return std::nullopt;
    std::string record(length, '\0');
    if (!receive(record.data(), record.size())) return std::nullopt;
    return record;
  }
  /// The last that is heard.
  std::string hear_all() {
    std::string last;
    while (auto record = hear()) last = *record;
    return last;
  }

 private:
  bool receive(char* out, std::size_t size) {
    // Asked for nothing, recv(2) would wait for more all the same.
    return size == 0 || ::recv(socket_.get(), out, size, MSG_WAITALL) == static_cast<ssize_t>(size);
  }
  UniqueFd socket_;
};

std::string bytes_of(const Payload& record) { return record.to_string(); }

TEST_F(DataStream, ends_the_stream_of_a_client_that_sends_garbage_and_serves_the_others) {
  auto server = serve();
  auto link = client(address_of(*server));
  for (const std::string& garbage :
       {std::string("hello"), std::string(200, '\xFF'), std::string("UKQ1\x01\0\0\0", 8)}) {
    Stranger foreign = Stranger::call(server->port());
    foreign.say(bytes_of(encode_hello({})));
    foreign.say(garbage);
    const auto why = decode_farewell(Payload(Bytes::copy_of(foreign.hear_all())));
    ASSERT_TRUE(why) << garbage;
    EXPECT_EQ(why->code, Code::invalid);
    EXPECT_EQ(why->what.find("malformed message"), 0U) << why->what;
  }
  EXPECT_EQ(handler_.calls(), 0U);
  link->submit(request(IoOp::read, 1), 10s, answers_.expect(1));
  EXPECT_TRUE(answers_.wait()[1].ok);
}

TEST_F(DataStream, a_message_beyond_every_bound_ends_its_stream_only) {
  auto server = serve();
  Stranger foreign = Stranger::call(server->port());
  foreign.say(bytes_of(encode_hello({})));
  foreign.say("x", message_bytes_max + 1);
  foreign.hear_all();
  auto link = client(address_of(*server));
  link->submit(request(IoOp::read, 1), 10s, answers_.expect(1));
  EXPECT_TRUE(answers_.wait()[1].ok);
}

TEST_F(DataStream, refuses_who_does_not_greet_and_who_speaks_another_version) {
  auto server = serve();
  Stranger rude = Stranger::call(server->port());
  rude.say("UKQ1");
  auto why = decode_farewell(Payload(Bytes::copy_of(rude.hear_all())));
  ASSERT_TRUE(why);
  EXPECT_EQ(why->what, "malformed message: not a greeting");
  Stranger newer = Stranger::call(server->port());
  newer.say("UKH2node/n1");
  why = decode_farewell(Payload(Bytes::copy_of(newer.hear_all())));
  ASSERT_TRUE(why);
  EXPECT_EQ(why->code, Code::refused);
  EXPECT_EQ(why->what, "protocol version 1 is spoken here, not '2'");
  // Nobody may announce a megabyte before it is known.
  Stranger large = Stranger::call(server->port());
  large.say("UKH1", 1U << 20);
  large.hear_all();
}

TEST_F(DataStream, a_sign_of_life_is_answered) {
  auto server = serve();
  Stranger foreign = Stranger::call(server->port());
  foreign.say(bytes_of(encode_hello(node_identity("n1"))));
  EXPECT_TRUE(is_welcome(Payload(Bytes::copy_of(foreign.hear().value_or("")))));
  foreign.say({});
  EXPECT_EQ(foreign.hear(), std::string());
}

TEST_F(DataStream, a_server_that_says_nothing_any_more_is_given_up) {
  auto listening = listen_data("127.0.0.1:0");
  ASSERT_TRUE(listening.ok());
  auto link = client("127.0.0.1:" + std::to_string(port_of(*listening)));
  link->connect();
  pollfd knocks{listening->get(), POLLIN, 0};
  ASSERT_EQ(::poll(&knocks, 1, 10'000), 1);
  Stranger silent(UniqueFd(::accept4(listening->get(), nullptr, nullptr, SOCK_CLOEXEC)));
  EXPECT_TRUE(silent.hear());
  silent.say(bytes_of(encode_welcome()));
  EXPECT_TRUE(eventually([&] { return link->condition().connected; }));
  const auto begin = std::chrono::steady_clock::now();
  link->submit(request(IoOp::read, 1), 60s, answers_.expect(1));
  auto& reply = answers_.wait()[1];
  EXPECT_EQ(reply.code, Code::unreachable);
  EXPECT_NE(reply.what.find("no sign of life"), std::string::npos) << reply.what;
  const auto took = std::chrono::steady_clock::now() - begin;
  EXPECT_GE(took, limits::keepalive_timeout - limits::keepalive_interval);
  EXPECT_LT(took, 10s);
}

}  // namespace
}  // namespace ukai
