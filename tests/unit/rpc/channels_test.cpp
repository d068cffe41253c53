// SPDX-License-Identifier: BSD-2-Clause
#include "rpc/channels.h"

#include <gtest/gtest.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <sys/socket.h>

#include <array>
#include <string>

namespace ukai {
namespace {

TEST(Distance, a_near_connection_is_not_paced) {
  auto listening = listen_data("127.0.0.1:0");
  ASSERT_TRUE(listening.ok());
  auto calling = connect_data("127.0.0.1:" + std::to_string(port_of(*listening)));
  ASSERT_TRUE(calling.ok());
  pollfd there{calling->get(), POLLOUT, 0};
  ASSERT_EQ(::poll(&there, 1, 10'000), 1);
  suit_distance(*calling);
  std::array<char, 16> name{};
  auto size = static_cast<socklen_t>(name.size());
  ASSERT_EQ(::getsockopt(calling->get(), IPPROTO_TCP, TCP_CONGESTION, name.data(), &size), 0);
  EXPECT_STRNE(name.data(), "bbr");
}

TEST(Address, is_host_and_port) {
  EXPECT_EQ(parse_address("127.0.0.1:80")->port, 80);
  EXPECT_EQ(parse_address("[::1]:0")->host, "::1");
  EXPECT_EQ(format_address(*parse_address("[::1]:9")), "[::1]:9");
  EXPECT_EQ(format_address(*parse_address("node-1:9")), "node-1:9");
  for (const char* bad : {"", ":", "a", "a:", ":1", "::1:1", "a:65536", "a:-1", "a:1x", "[]:1"}) {
    EXPECT_TRUE(parse_address(bad).failed_with(Code::invalid)) << bad;
  }
}

}  // namespace
}  // namespace ukai
