// SPDX-License-Identifier: BSD-2-Clause
#include "daemon/host_config.h"

#include <gtest/gtest.h>
#include <unistd.h>

#include <fstream>

namespace ukai {
namespace {

using namespace std::chrono_literals;

const std::string smallest =
    "[host]\n"
    "id = \"h1\"\n"
    "mount_point = \"/mnt/ukai\"\n"
    "listen = \"127.0.0.1:7000\"\n"
    "[metadata]\n"
    "servers = \"127.0.0.1:2181\"\n";

class HostConfigFile : public ::testing::Test {
 protected:
  void TearDown() override { ::unlink(path_.c_str()); }

  Result<HostConfig> load(const std::string& text) {
    std::ofstream(path_) << text;
    return load_host_config(path_);
  }
  /// What is said about the file, without its path.
  std::string mistake(const std::string& text) {
    auto config = load(text);
    EXPECT_FALSE(config.ok()) << text;
    if (config.ok()) return "";
    EXPECT_EQ(config.error().what.find('\n'), std::string::npos);
    EXPECT_EQ(config.error().what.substr(0, path_.size()), path_);
    return config.error().what.substr(path_.size());
  }

  const std::string path_ = "/tmp/ukai_host_config." + std::to_string(::getpid());
};

TEST_F(HostConfigFile, needs_no_more_than_five_keys) {
  auto config = load(smallest);
  ASSERT_TRUE(config.ok()) << config.error().what;
  EXPECT_EQ(config->id, "h1");
  EXPECT_EQ(config->state_dir, "/var/lib/ukai/h1");
  EXPECT_EQ(config->fuse.mount_point, "/mnt/ukai");
  EXPECT_EQ(config->fuse.subtype, "ukai");
  EXPECT_EQ(config->fuse.mode, 0600U);
  EXPECT_EQ(config->fuse.threads, 1U);
  EXPECT_TRUE(config->fuse.allow_other);
  EXPECT_TRUE(config->fuse.default_permissions);
  EXPECT_FALSE(config->fuse.kernel_cache);
  EXPECT_EQ(config->listen.data, "127.0.0.1:7000");
  EXPECT_EQ(config->listen.control, "127.0.0.1:0");
  EXPECT_EQ(config->disk.host, HostId("h1"));
  EXPECT_EQ(config->disk.io_deadline, 2s);
  EXPECT_EQ(config->disk.io_wait, 60s);
  EXPECT_TRUE(config->disk.auto_heal);
  EXPECT_FALSE(config->node);
}

TEST_F(HostConfigFile, reads_every_key) {
  auto config = load(
      "[host]\nid = \"h2\"\nmount_point = \"/mnt/u\"\nsite = \"jp/tokyo\"\nlisten = \"0.0.0.0:7\"\n"
      "control_listen = \"0.0.0.0:8\"\nadvertise = \"host2\"\nstate_dir = \"/srv/state\"\n"
      "[fuse]\nallow_other = false\ndefault_permissions = false\nallow_nonempty = true\n"
      "subtype = \"glusterfs\"\nuid = 64055\ngid = 36\nmode = \"0660\"\nmax_background = 12\n"
      "threads = 2\ncache = \"kernel\"\n"
      "[disk]\nio_deadline = \"500ms\"\nio_wait = \"5s\"\nauto_heal = false\nlease_linger = "
      "\"0s\"\n"
      "heal_rate = \"10MiB\"\nhand_over_wait = \"7s\"\n"
      "[node]\nid = \"n2\"\ndata_root = \"/srv/data\"\n"
      "[metadata]\nservers = \"zk1:2181,zk2:2181/prod\"\nsession_timeout_ms = 5000\n"
      "[log]\nlevel = \"debug\"\nfile = \"/var/log/ukaid.log\"\n");
  ASSERT_TRUE(config.ok()) << config.error().what;
  EXPECT_EQ(config->listen.published(config->listen.data, 7), "host2:7");
  EXPECT_EQ(config->state_dir, "/srv/state");
  EXPECT_EQ(config->fuse.subtype, "glusterfs");
  EXPECT_EQ(config->fuse.uid, 64055U);
  EXPECT_EQ(config->fuse.gid, 36U);
  EXPECT_EQ(config->fuse.mode, 0660U);
  EXPECT_EQ(config->fuse.max_background, 12U);
  EXPECT_EQ(config->fuse.threads, 2U);
  EXPECT_TRUE(config->fuse.kernel_cache);
  EXPECT_TRUE(config->fuse.allow_nonempty);
  EXPECT_FALSE(config->fuse.allow_other);
  EXPECT_FALSE(config->fuse.default_permissions);
  EXPECT_EQ(config->disk.io_deadline, 500ms);
  EXPECT_EQ(config->disk.io_wait, 5s);
  EXPECT_EQ(config->disk.lease_linger, 0s);
  EXPECT_EQ(config->disk.hand_over_wait, 7s);
  EXPECT_EQ(config->disk.heal_rate_bytes_per_s, 10U << 20);
  EXPECT_FALSE(config->disk.auto_heal);
  ASSERT_TRUE(config->node);
  EXPECT_EQ(config->node->id, "n2");
  EXPECT_EQ(config->node->site, "jp/tokyo");
  EXPECT_EQ(config->metadata.session_timeout, 5s);
  EXPECT_EQ(config->log.level, log::Level::debug);
}

TEST_F(HostConfigFile, names_line_and_key_of_what_is_wrong) {
  const std::string at7 = ":7: key '";
  EXPECT_EQ(mistake(smallest + "mount = 1\n"), at7 + "metadata.mount': is unknown");
  EXPECT_EQ(mistake(smallest + "[fuze]\n"), ":7: unknown section 'fuze'");
  EXPECT_EQ(mistake(smallest + "[fuse]\nmode = \"0999\"\n"),
            ":8: key 'fuse.mode': '0999' is not an octal mode such as \"0660\"");
  EXPECT_EQ(mistake(smallest + "[fuse]\nmode = \"4755\"\n"),
            ":8: key 'fuse.mode': must be at most \"0777\"");
  EXPECT_EQ(mistake(smallest + "[fuse]\nthreads = 3\n"),
            ":8: key 'fuse.threads': must be between 1 and 2, not 3");
  EXPECT_EQ(mistake(smallest + "[fuse]\nuid = -1\n").substr(0, 23), ":8: key 'fuse.uid': mus");
  EXPECT_EQ(mistake(smallest + "[fuse]\nsubtype = \"a,b\"\n"),
            ":8: key 'fuse.subtype': must be 1 to 32 of a-z, 0-9 and _");
  EXPECT_EQ(mistake(smallest + "[fuse]\ncache = true\n"),
            ":8: key 'fuse.cache': must be a string, not a boolean");
  EXPECT_EQ(mistake(smallest + "[disk]\nio_deadline = \"0s\"\n"),
            ":8: key 'disk.io_deadline': must be at least \"10ms\"");
  EXPECT_EQ(mistake(smallest + "[disk]\nio_wait = \"1s\"\n"),
            ":8: key 'disk.io_wait': must not be shorter than disk.io_deadline");
  EXPECT_EQ(mistake(smallest + "[node]\nid = \"n1\"\n"), ":7: key 'node.data_root': is missing");
  EXPECT_EQ(mistake(smallest + "[node]\nid = \"n1\"\ndata_root = \"/d\"\nlisten = \"a:1\"\n"),
            ":10: key 'node.listen': is unknown");
  EXPECT_EQ(mistake(smallest + "[log]\nlevel = \"loud\"\n").substr(0, 22),
            ":8: key 'log.level': m");
}

TEST_F(HostConfigFile, checks_the_host_section) {
  const auto with = [](const std::string& from, const std::string& to) {
    std::string text = smallest;
    text.replace(text.find(from), from.size(), to);
    return text;
  };
  EXPECT_EQ(mistake(with("id = \"h1\"\n", "")), ":1: key 'host.id': is missing");
  EXPECT_EQ(mistake(with("\"h1\"", "\"h/1\"")).substr(0, 18), ":2: key 'host.id':");
  EXPECT_EQ(mistake(with("\"h1\"", "7")), ":2: key 'host.id': must be a string, not an integer");
  EXPECT_EQ(mistake(with("id = \"h1\"", "id =")).substr(0, 18), ":2: key 'host.id':");
  EXPECT_EQ(mistake(with("\"/mnt/ukai\"", "\"mnt\"")),
            ":3: key 'host.mount_point': must be an absolute path");
  EXPECT_EQ(mistake(with("127.0.0.1:7000", "7000")).substr(0, 22), ":4: key 'host.listen':");
  EXPECT_EQ(mistake(with("127.0.0.1:7000", "0.0.0.0:7000")).substr(0, 25),
            ":1: key 'host.advertise':");
  EXPECT_EQ(mistake(with("127.0.0.1:2181", "127.0.0.1:99999")).substr(0, 27),
            ":6: key 'metadata.servers':");
}

}  // namespace
}  // namespace ukai
