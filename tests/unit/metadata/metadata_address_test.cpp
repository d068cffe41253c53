// SPDX-License-Identifier: BSD-2-Clause
#include "metadata/metadata_address.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace ukai {
namespace {

using testing::HasSubstr;

TEST(MetadataAddress, takes_servers_with_and_without_a_chroot) {
  auto one = parse_metadata_address("zk1:2181");
  ASSERT_TRUE(one.ok()) << one.error().what;
  EXPECT_EQ(one->servers, "zk1:2181");
  EXPECT_EQ(one->chroot, "");

  auto many = parse_metadata_address("10.0.0.1:2181,zk-2.example.org:2182,[::1]:2183/prod/east");
  ASSERT_TRUE(many.ok()) << many.error().what;
  EXPECT_EQ(many->servers, "10.0.0.1:2181,zk-2.example.org:2182,[::1]:2183");
  EXPECT_EQ(many->chroot, "/prod/east");
  EXPECT_EQ(many->to_string(), "10.0.0.1:2181,zk-2.example.org:2182,[::1]:2183/prod/east");

  EXPECT_EQ(parse_metadata_address("zk1:2181/")->chroot, "");
  EXPECT_EQ(parse_metadata_address("zk1:2181/prod/")->chroot, "/prod");
}

TEST(MetadataAddress, refuses_bad_input_with_one_line_that_says_what_is_wrong) {
  const std::pair<const char*, const char*> cases[] = {
      {"", "empty"},
      {"/prod", "a server is empty"},
      {"zk1", "\"zk1\" has no port"},
      {"zk1:2181,zk2", "\"zk2\" has no port"},
      {"[::1]", "\"[::1]\" has no port"},
      {"zk1:", "no valid port"},
      {"zk1:0", "no valid port"},
      {"zk1:65536", "no valid port"},
      {"zk1:21x1", "no valid port"},
      {":2181", "no valid host"},
      {"zk 1:2181", "no valid host"},
      {"::1:2181", "no valid host"},
      {"zk1:2181,,zk2:2181", "a server is empty"},
      {"zk1:2181,", "a server is empty"},
      {"zk1:2181//", "no valid chroot"},
      {"zk1:2181//a", "no valid chroot"},
      {"zk1:2181/a/../b", "no valid chroot"},
      {"zk1:2181/zookeeper", "belongs to ZooKeeper"},
  };
  for (const auto& [text, why] : cases) {
    auto address = parse_metadata_address(text);
    ASSERT_TRUE(address.failed_with(Code::invalid)) << text;
    EXPECT_THAT(address.error().what, HasSubstr(why)) << text;
    EXPECT_THAT(address.error().what, HasSubstr("\"" + std::string(text) + "\""));
    EXPECT_EQ(address.error().what.find('\n'), std::string::npos);
  }
}

}  // namespace
}  // namespace ukai
