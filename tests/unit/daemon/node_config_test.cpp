// SPDX-License-Identifier: BSD-2-Clause
#include <gmock/gmock.h>

#include <fstream>

#include "daemon/node_daemon.h"
#include "harness/temp_folder.h"

namespace ukai {
namespace {

using namespace std::chrono_literals;
using testing::ElementsAre;
using testing::HasSubstr;

const std::string smallest =
    "[node]\n"
    "id = \"n1\"\n"
    "data_root = \"/srv/ukai\"\n"
    "listen = \"127.0.0.1:7000\"\n"
    "[metadata]\n"
    "servers = \"127.0.0.1:2181\"\n";

class NodeConfigFile : public testing::Test {
 protected:
  Result<NodeConfig> load(const std::string& text) {
    std::ofstream(path_) << text;
    return load_node_config(path_);
  }

  /// What is said about `smallest` with `from` replaced by `to`, without the path.
  std::string mistake(const std::string& from, const std::string& to) {
    std::string text = smallest;
    auto config = load(text.replace(text.find(from), from.size(), to));
    EXPECT_FALSE(config.ok()) << text;
    return config.ok() ? "" : config.error().what.substr(path_.size());
  }

  test::TempFolder folder_;
  const std::string path_ = (folder_.path() / "node.toml").string();
};

TEST_F(NodeConfigFile, needs_four_keys) {
  auto config = load(smallest);
  ASSERT_TRUE(config.ok()) << config.error().what;
  EXPECT_EQ(config->node.id, "n1");
  EXPECT_EQ(config->node.data_root, "/srv/ukai");
  EXPECT_EQ(config->node.reserve_bytes, limits::reserve_bytes_default);
  EXPECT_EQ(config->node.boot_id_file, "/proc/sys/kernel/random/boot_id");
  EXPECT_EQ(config->listen.data, "127.0.0.1:7000");
  EXPECT_EQ(config->listen.control, "127.0.0.1:0");
  EXPECT_EQ(config->metadata.session_timeout, limits::zookeeper_session_default);
}

TEST_F(NodeConfigFile, takes_every_key) {
  auto config = load(
      "[node]\nid = \"n1\"\ndata_root = \"/d\"\nlisten = \"0.0.0.0:1\"\n"
      "control_listen = \"0.0.0.0:2\"\nadvertise = \"node-1\"\nsite = \"jp/tokyo\"\n"
      "labels = [\"ssd\", \"fast\"]\nreserve = \"1GiB\"\nopen_files = 100\n"
      "boot_id_file = \"/b\"\n"
      "[metadata]\nservers = \"a:1,b:2/x\"\nsession_timeout_ms = 5000\n"
      "[log]\nlevel = \"debug\"\nfile = \"/l\"\n");
  ASSERT_TRUE(config.ok()) << config.error().what;
  EXPECT_THAT(config->node.labels, ElementsAre("ssd", "fast"));
  EXPECT_EQ(config->node.reserve_bytes, 1U << 30);
  EXPECT_EQ(config->node.open_files_max, 100U);
  EXPECT_EQ(config->node.site, "jp/tokyo");
  EXPECT_EQ(config->listen.published(config->listen.control, 9), "node-1:9");
  EXPECT_EQ(config->metadata.session_timeout, 5s);
  EXPECT_EQ(config->log.level, log::Level::debug);
  EXPECT_EQ(config->log.file, "/l");
}

TEST_F(NodeConfigFile, names_line_and_key_of_a_mistake) {
  EXPECT_EQ(mistake("id = \"n1\"\n", ""), ":1: key 'node.id': is missing");
  EXPECT_THAT(mistake("\"n1\"", "\"a/b\""), HasSubstr(":2: key 'node.id': "));
  EXPECT_THAT(mistake("\"n1\"", "1"), HasSubstr(":2: key 'node.id': "));
  EXPECT_EQ(mistake("data_root", "dataroot"), ":3: key 'node.dataroot': is unknown");
  EXPECT_THAT(mistake("127.0.0.1:7000", "127.0.0.1"),
              HasSubstr(":4: key 'node.listen': '127.0.0.1' is not HOST:PORT"));
  EXPECT_THAT(mistake("127.0.0.1:7000", "[::]:7000"), HasSubstr("key 'node.advertise': is needed"));
  EXPECT_THAT(mistake("127.0.0.1:2181", "nowhere"), HasSubstr(":6: key 'metadata.servers': "));
  EXPECT_THAT(mistake("[metadata]\n", "size = 3\n[metadata]\n"),
              HasSubstr(":5: key 'node.size': is unknown"));
}

}  // namespace
}  // namespace ukai
