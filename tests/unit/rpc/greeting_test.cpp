// SPDX-License-Identifier: BSD-2-Clause
#include "rpc/greeting.h"

#include <gtest/gtest.h>

#include "ukai/limits.h"

namespace ukai {
namespace {

Payload record(const std::string& bytes) { return Payload(Bytes::copy_of(bytes)); }

TEST(Greeting, a_hello_says_whom_it_means) {
  EXPECT_EQ(encode_hello("node/n1").to_string(), "UKH1node/n1");
  EXPECT_EQ(*decode_hello(encode_hello("node/n1")), "node/n1");
  EXPECT_EQ(*decode_hello(encode_hello({})), "");
}

TEST(Greeting, another_version_is_refused_and_anything_else_is_malformed) {
  EXPECT_EQ(decode_hello(record("UKH2node/n1")).code(), Code::refused);
  for (const std::string& bad : {std::string(), std::string("UKH"), std::string("GET / HTTP/1.1"),
                                 "UKH1" + std::string(hello_bytes_max, 'n')}) {
    EXPECT_EQ(decode_hello(record(bad)).code(), Code::invalid) << bad;
  }
}

TEST(Greeting, a_welcome_is_nothing_else) {
  EXPECT_TRUE(is_welcome(encode_welcome()));
  EXPECT_FALSE(is_welcome(record("UKW2")));
  EXPECT_FALSE(is_welcome(record("")));
}

TEST(Greeting, a_farewell_says_why) {
  const auto why = decode_farewell(encode_farewell({Code::refused, "meant for node/n2"}));
  ASSERT_TRUE(why);
  EXPECT_EQ(why->code, Code::refused);
  EXPECT_EQ(why->what, "meant for node/n2");
  const std::string endless(2 * limits::frame_what_bytes_max, 'x');
  EXPECT_EQ(decode_farewell(encode_farewell({Code::io, endless}))->what.size(),
            limits::frame_what_bytes_max);
  EXPECT_FALSE(decode_farewell(record("UKE1")));
  EXPECT_FALSE(decode_farewell(record("UKE1\xFFwhy")));
  EXPECT_FALSE(decode_farewell(encode_welcome()));
}

}  // namespace
}  // namespace ukai
