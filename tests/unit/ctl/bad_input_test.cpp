// SPDX-License-Identifier: BSD-2-Clause
//
// Everything an operator can get wrong: one line, the right status, and nothing changed.
#include <gmock/gmock.h>

#include "ctl/arguments.h"
#include "unit/ctl/ctl_fixture.h"

namespace ukai::ctl {
namespace {

using ::testing::HasSubstr;

class BadInput : public CtlTest {
 protected:
  BadInput() {
    add_node("n1");
    add_node("n2");
    add_down_node("n3");
  }
  /// Expects one line with `part`, and that the metadata are as they were.
  void refuses(const std::vector<std::string>& words, int status, const std::string& part) {
    const auto before = tree_.paths();
    const Outcome outcome = run_words(words);
    EXPECT_EQ(outcome.status, status) << words.back() << '\n' << outcome;
    EXPECT_EQ(outcome.out, "");
    EXPECT_THAT(outcome.err, HasSubstr(part));
    EXPECT_EQ(std::count(outcome.err.begin(), outcome.err.end(), '\n'), 1) << outcome.err;
    EXPECT_EQ(tree_.paths(), before) << words.back();
  }
  void refuses_create(const std::string& name, const std::vector<std::string>& options, int status,
                      const std::string& part) {
    std::vector<std::string> words{"disk", "create", name};
    words.insert(words.end(), options.begin(), options.end());
    refuses(words, status, part);
  }
  const std::vector<std::string> good_{"--size", "8M", "--location", "n1"};
};

TEST_F(BadInput, names) {
  refuses_create("", good_, 2, "disk name is empty");
  refuses_create(std::string(129, 'a'), good_, 2, "disk name has 129 characters");
  for (const char* name : {"a/b", "..", ".", ".hidden", "a@b", "a\nb", "a\x1b[2Jb", "a b", "ü"}) {
    refuses_create(name, good_, 2, "disk name");
  }
  refuses({"disk", "create", "-a", "--size", "8M", "--location", "n1"}, 2, "ukaictl: ");
  refuses({"disk", "info", "a/b"}, 2, "disk name 'a/b'");
  refuses({"disk", "info", "nope"}, 3, "there is no disk named 'nope'");
}

TEST_F(BadInput, sizes) {
  auto size = [](const std::string& text) {
    return std::vector<std::string>{"--size", text, "--location", "n1"};
  };
  refuses_create("a", size("0"), 2, "size is 0");
  refuses_create("a", size("-4194304"), 2, "'-4194304' is not a size");
  refuses_create("a", size("12X"), 2, "'12X' is not a size");
  refuses_create("a", size(""), 2, "is not a size");
  refuses_create("a", size("5M"), 2, "the next one is 8388608");
  refuses_create("a", size("65T"), 2, "over the limit of 64 TiB");
  refuses_create("a", size("99999999999999999999"), 2, "too large");
  refuses({"disk", "create", "a", "--location", "n1"}, 2, "--size is required");
}

TEST_F(BadInput, block_sizes) {
  for (const char* text : {"32KiB", "128M", "3M", "0"}) {
    auto options = good_;
    options.insert(options.end(), {"--block-size", text});
    refuses_create("a", options, 2, "is not a power of two from 64 KiB to 64 MiB");
  }
  refuses_create("a", {"--size", "64T", "--block-size", "64KiB", "--location", "n1"}, 2,
                 "size 64 TiB needs larger blocks than 64 KiB");
}

TEST_F(BadInput, locations) {
  auto at = [](const std::string& nodes) {
    return std::vector<std::string>{"--size", "8M", "--location", nodes};
  };
  refuses_create("a", at("n9"), 3, "there is no node named 'n9'");
  refuses_create("a", at("n1,n1"), 2, "node n1 is named twice");
  refuses_create("a", at("n1,,n2"), 2, "--location 'n1,,n2' has an empty element");
  refuses_create("a", at(""), 2, "has an empty element");
  refuses_create("a", at("../x"), 2, "node name '../x'");
  refuses_create("a", at("n1,n3"), 8, "node n3 is down");
  refuses_create("a", {"--size", "8M", "--location", "n1,n2", "--replicas", "3"}, 2,
                 "3 replicas need as many nodes, 2 are given");
  for (const char* replicas : {"0", "-1", "x", "1.5", "99999999999"}) {
    refuses_create("a", {"--size", "8M", "--location", "n1", "--replicas", replicas}, 2,
                   "is not a number of at least 1");
  }
  refuses_create("a", {"--size", "8M"}, 2, "--location is required");
}

TEST_F(BadInput, existing_names) {
  done("disk create a --size 8M --location n1");
  refuses_create("a", good_, 4, "a disk named 'a' exists already");
  refuses_create("a", {"--size", "16M", "--location", "n2"}, 4, "exists already");
  EXPECT_EQ(disk("a").record.size(), 8U << 20);
}

TEST_F(BadInput, usage) {
  refuses({}, 2, "see 'ukaictl --help'");
  refuses({"frobnicate"}, 2, "frobnicate");
  refuses({"disk"}, 2, "see 'ukaictl disk --help'");
  refuses({"disk", "list", "extra"}, 2, "extra");
  refuses({"disk", "list", "--nope"}, 2, "--nope");
  refuses({"-o", "xml", "disk", "list"}, 2, "xml");
  refuses({"--timeout", "soon", "disk", "list"}, 2, "--timeout 'soon' is not a time");
  refuses({"disk", "set", "a"}, 2, "--meta is required");
  refuses({"snapshot", "create", "a"}, 2, "snapshot");
  refuses({"snapshot", "create", "a@b/c"}, 2, "snapshot");
}

TEST_F(BadInput, metadata_address) {
  refuses({"--metadata", "zk:port", "disk", "list"}, 2, "zk:port");
  variables_.clear();
  refuses({"disk", "list"}, 2, "no metadata servers are named");
}

TEST_F(BadInput, config_file) {
  refuses({"--config", "/nonexistent/ukaictl.toml", "disk", "list"}, 3,
          "/nonexistent/ukaictl.toml");
}

TEST_F(BadInput, metadata_that_does_not_answer) {
  metadata_unreachable_ = true;
  const auto begin = std::chrono::steady_clock::now();
  refuses({"--timeout", "0.1", "disk", "list"}, 7, "metadata servers zk:2181: ");
  refuses({"--timeout", "0.1", "disk", "create", "a", "--size", "8M", "--location", "n1"}, 7,
          "zk:2181");
  EXPECT_LT(std::chrono::steady_clock::now() - begin, std::chrono::seconds(3));
}

TEST_F(BadInput, a_damaged_record_refuses_by_the_disks_name) {
  done("disk create a --size 8M --location n1");
  done("disk create b --size 8M --location n1");
  const std::string path = Catalog::disk_path(*DiskId::parse(disk("a").record.id()));
  tree_.corrupt(path, "UKR1");
  for (const char* command :
       {"disk info a", "disk map a", "disk resize a 16M", "disk delete a", "get_image_info a"}) {
    const Outcome outcome = run(command);
    EXPECT_EQ(outcome.status, 1) << command;
    EXPECT_THAT(outcome.err, HasSubstr("ukaictl: disk a: ")) << command;
  }
  done("disk info b");
}

TEST_F(BadInput, a_damaged_map_refuses_by_the_disks_name) {
  done("disk create a --size 8M --location n1");
  done("disk create b --size 8M --location n1");
  const std::string path = Catalog::disk_path(*DiskId::parse(disk("a").record.id()));
  tree_.corrupt(path + "/map/00000000", "garbage");
  for (const char* command : {"disk info a", "disk map a"}) {
    const Outcome outcome = run(command);
    EXPECT_EQ(outcome.status, 1) << command;
    EXPECT_THAT(outcome.err, HasSubstr("ukaictl: disk a: ")) << command;
  }
  done("disk map b");
}

class NoUkai : public CtlTest {
 protected:
  NoUkai() : CtlTest(false) {}
};

TEST_F(NoUkai, is_said_in_words_and_leaves_nothing_behind) {
  const std::string line = "there is no UKAI at zk:2181: no daemon has ever run there";
  fails("disk list", 3, line);
  fails("ls", 3, line);
  fails("node list", 3, line);
  fails("host list", 3, line);
  fails("status", 3, line);
  fails("disk create a --size 8M --location n1", 3, line);
  EXPECT_EQ(tree_.paths().size(), MemoryZooKeeper().paths().size());
}

TEST_F(BadInput, help_is_no_failure) {
  for (const std::string& name : command_names()) {
    const Outcome outcome = run(name + " --help");
    EXPECT_EQ(outcome.status, 0) << name;
    EXPECT_EQ(outcome.err, "") << name;
    EXPECT_THAT(outcome.out, HasSubstr("Usage: ")) << name;
  }
  EXPECT_THAT(run("--help").out, HasSubstr("Exit status: 0 done"));
}

}  // namespace
}  // namespace ukai::ctl
