// SPDX-License-Identifier: BSD-2-Clause
#include "base/config.h"

#include <gtest/gtest.h>
#include <unistd.h>

#include <cstdio>
#include <fstream>

namespace ukai {
namespace {

using namespace std::chrono_literals;

ConfigReader reader_of(std::string_view text) {
  auto reader = ConfigReader::parse(text, "test.toml");
  EXPECT_TRUE(reader.ok()) << (reader.ok() ? "" : reader.error().what);
  return std::move(*reader);
}

std::string parse_error_of(std::string_view text) {
  const auto reader = ConfigReader::parse(text, "test.toml");
  EXPECT_FALSE(reader.ok());
  if (reader.ok()) return {};
  EXPECT_EQ(reader.code(), Code::invalid);
  EXPECT_EQ(reader.error().what.find('\n'), std::string::npos);
  return reader.error().what;
}

std::string mistake_of(const ConfigReader& reader) {
  const auto finished = reader.finish();
  EXPECT_FALSE(finished.ok());
  return finished.ok() ? "" : finished.error().what;
}

TEST(ConfigReader, returns_typed_values_and_defaults) {
  auto reader = reader_of(R"(
[host]
id = "h1"
labels = ["ssd", "rack4"]
[fuse]
allow_other = true
threads = 2
mode = "0660"
cache = "direct"
[disk]
io_deadline = "1500ms"
chunk = "4MiB"
bytes = 512
)");
  EXPECT_EQ(reader.string("host.id"), "h1");
  EXPECT_EQ(reader.string("host.site", "nowhere"), "nowhere");
  EXPECT_EQ(reader.strings("host.labels"), (std::vector<std::string>{"ssd", "rack4"}));
  EXPECT_TRUE(reader.boolean("fuse.allow_other"));
  EXPECT_EQ(reader.integer("fuse.threads", {1, 2}), 2);
  EXPECT_EQ(reader.integer("fuse.max_background", {1, 64}, 64), 64);
  EXPECT_EQ(reader.octal("fuse.mode"), 0660U);
  EXPECT_EQ(reader.choice("fuse.cache", {"direct", "kernel"}), "direct");
  EXPECT_EQ(reader.duration("disk.io_deadline"), 1500ms);
  EXPECT_EQ(reader.duration("disk.io_wait", 60s), 60s);
  EXPECT_EQ(reader.size("disk.chunk"), 4U << 20);
  EXPECT_EQ(reader.size("disk.bytes"), 512U);
  EXPECT_FALSE(reader.has_section("node"));
  EXPECT_TRUE(reader.finish().ok());
}

TEST(ConfigReader, names_file_line_and_key_of_an_unknown_key) {
  auto reader = reader_of("[host]\nid = \"h1\"\nmount_pont = \"/mnt\"\n");
  reader.string("host.id");
  reader.string("host.mount_point");
  EXPECT_EQ(mistake_of(reader), "test.toml:3: key 'host.mount_pont': is unknown");
}

TEST(ConfigReader, names_an_unknown_section) {
  auto reader = reader_of("[host]\nid = \"h1\"\n\n[hots]\n");
  reader.string("host.id");
  EXPECT_EQ(mistake_of(reader), "test.toml:4: unknown section 'hots'");
}

TEST(ConfigReader, names_the_section_of_a_missing_key) {
  auto reader = reader_of("# a comment\n[host]\nsite = \"a\"\n");
  reader.string("host.site");
  EXPECT_EQ(reader.string("host.id"), "");
  EXPECT_EQ(mistake_of(reader), "test.toml:2: key 'host.id': is missing");
}

TEST(ConfigReader, names_the_last_line_when_the_section_is_missing_too) {
  auto reader = reader_of("[a]\nb = 1\n");
  reader.integer("a.b", {});
  reader.string("host.id");
  EXPECT_EQ(mistake_of(reader), "test.toml:2: key 'host.id': is missing");
}

TEST(ConfigReader, refuses_wrong_types) {
  const auto mistake = [](std::string_view value, auto get) {
    auto reader = reader_of("[a]\nb = " + std::string(value) + "\n");
    get(reader);
    return mistake_of(reader);
  };
  const auto text = [](ConfigReader& r) { r.string("a.b", "x"); };
  const auto truth = [](ConfigReader& r) { r.boolean("a.b", true); };
  const auto number = [](ConfigReader& r) { r.integer("a.b", {}, 1); };
  const auto size = [](ConfigReader& r) { r.size("a.b", 1); };
  const auto time = [](ConfigReader& r) { r.duration("a.b", 1s); };
  const auto list = [](ConfigReader& r) { r.strings("a.b", std::vector<std::string>{}); };
  const auto mode = [](ConfigReader& r) { r.octal("a.b", 0600); };
  const std::string at = "test.toml:2: key 'a.b': must be ";
  EXPECT_EQ(mistake("7", text), at + "a string, not an integer");
  EXPECT_EQ(mistake("\"yes\"", truth), at + "true or false, not a string");
  EXPECT_EQ(mistake("1.5", number), at + "an integer, not a fraction");
  EXPECT_EQ(mistake("true", size), at + "a size such as \"4MiB\", not a boolean");
  EXPECT_EQ(mistake("2", time), at + "a duration such as \"2s\" or \"500ms\", not an integer");
  EXPECT_EQ(mistake("\"n1\"", list), at + "an array of strings, not a string");
  EXPECT_EQ(mistake("[1, 2]", list),
            at + "an array of strings, not an array of other things than strings");
  EXPECT_EQ(mistake("2026-11-22", text), at + "a string, not a date or time");
  EXPECT_EQ(mistake("432", mode), at + "an octal number such as \"0660\", not an integer");
  EXPECT_EQ(mistake("{ c = 1 }", text), "test.toml:2: key 'a.b.c': is unknown");
}

TEST(ConfigReader, refuses_values_out_of_range) {
  auto reader = reader_of("[a]\nb = 3\n");
  reader.integer("a.b", {1, 2}, 1);
  EXPECT_EQ(mistake_of(reader), "test.toml:2: key 'a.b': must be between 1 and 2, not 3");

  for (const char* bad :
       {"\"4 MiB\"", "\"\"", "\"x\"", "-1", "\"99999999999999999999\"", "\"99999999P\""}) {
    auto sized = reader_of("[a]\nb = " + std::string(bad) + "\n");
    sized.size("a.b");
    EXPECT_EQ(mistake_of(sized).substr(0, 24), "test.toml:2: key 'a.b': ") << bad;
  }
  for (const char* bad : {"\"2\"", "\"\"", "\"2 s\"", "\"-2s\"", "\"2d\"", "\"9999999999999h\""}) {
    auto timed = reader_of("[a]\nb = " + std::string(bad) + "\n");
    timed.duration("a.b");
    EXPECT_EQ(mistake_of(timed).substr(0, 24), "test.toml:2: key 'a.b': ") << bad;
  }
  for (const char* bad : {"\"0x1\"", "\"888\"", "\"10000\"", "\"\""}) {
    auto mode = reader_of("[a]\nb = " + std::string(bad) + "\n");
    mode.octal("a.b");
    EXPECT_EQ(mistake_of(mode).substr(0, 24), "test.toml:2: key 'a.b': ") << bad;
  }
  auto word = reader_of("[a]\nb = \"fast\"\n");
  word.choice("a.b", {"direct", "kernel"});
  EXPECT_EQ(mistake_of(word),
            "test.toml:2: key 'a.b': must be one of \"direct\", \"kernel\", not \"fast\"");
  auto empty = reader_of("[a]\nb = \"\"\n");
  empty.string("a.b");
  EXPECT_EQ(mistake_of(empty), "test.toml:2: key 'a.b': must not be empty");
  auto lines = reader_of("[a]\nb = \"x\\ny\"\n");
  lines.string("a.b");
  EXPECT_EQ(mistake_of(lines), "test.toml:2: key 'a.b': must be one line");
}

TEST(ConfigReader, reports_the_mistake_that_stands_first_in_the_file) {
  auto reader = reader_of("[a]\nb = 1\nc = 2\n");
  reader.string("a.c");
  reader.string("a.b");
  EXPECT_EQ(mistake_of(reader), "test.toml:2: key 'a.b': must be a string, not an integer");
}

TEST(ConfigReader, reports_what_only_the_caller_can_judge) {
  auto reader = reader_of("[a]\nb = \"x\"\n");
  reader.string("a.b");
  reader.reject("a.b", "does not exist");
  EXPECT_EQ(mistake_of(reader), "test.toml:2: key 'a.b': does not exist");
}

TEST(ConfigReader, names_the_key_of_a_missing_value) {
  EXPECT_EQ(parse_error_of("[host]\nid =\nsite = \"a\"\n").substr(0, 29),
            "test.toml:2: key 'host.id': E");
  EXPECT_EQ(parse_error_of("[host]\nid = ").substr(0, 27), "test.toml:2: key 'host.id':");
  EXPECT_EQ(parse_error_of("id =\n").substr(0, 22), "test.toml:1: key 'id':");
}

TEST(ConfigReader, names_a_duplicate_key) {
  EXPECT_EQ(parse_error_of("[host]\nid = \"a\"\nid = \"b\"\n").substr(0, 27),
            "test.toml:3: key 'host.id':");
  EXPECT_EQ(parse_error_of("[host]\n[host]\n").substr(0, 13), "test.toml:2: ");
}

TEST(ConfigReader, names_the_line_of_other_syntax_errors) {
  EXPECT_EQ(parse_error_of("[host\nid = 1\n").substr(0, 13), "test.toml:1: ");
  EXPECT_EQ(parse_error_of("[host]\nid = \"h1\n").substr(0, 27), "test.toml:2: key 'host.id':");
  EXPECT_EQ(parse_error_of("[host]\n= 1\n").substr(0, 13), "test.toml:2: ");
  EXPECT_EQ(parse_error_of("\xff\xfe").substr(0, 13), "test.toml:1: ");
}

TEST(ConfigReader, says_which_file_is_not_there) {
  const auto missing = ConfigReader::load("/nonexistent/ukaid.toml");
  ASSERT_TRUE(missing.failed_with(Code::not_found));
  EXPECT_EQ(missing.error().what, "/nonexistent/ukaid.toml: No such file or directory");
  EXPECT_FALSE(ConfigReader::load("/").ok());
}

TEST(ConfigReader, reads_a_file) {
  const std::string path = "/tmp/ukai_config_test." + std::to_string(getpid());
  std::ofstream(path) << "[a]\nb = true\n";
  auto reader = ConfigReader::load(path);
  std::remove(path.c_str());
  ASSERT_TRUE(reader.ok());
  EXPECT_TRUE(reader->boolean("a.b"));
  EXPECT_TRUE(reader->finish().ok());
}

}  // namespace
}  // namespace ukai
