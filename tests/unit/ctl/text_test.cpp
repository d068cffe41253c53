// SPDX-License-Identifier: BSD-2-Clause
#include <gtest/gtest.h>

#include <fstream>
#include <sstream>

#include "ctl/create_plan.h"
#include "ctl/exit_status.h"
#include "ctl/progress_bar.h"
#include "ctl/settings.h"
#include "ctl/table.h"
#include "harness/temp_folder.h"

namespace ukai::ctl {
namespace {

using namespace std::chrono_literals;

TEST(Table, aligns_columns_and_leaves_no_blanks_at_the_ends_of_lines) {
  Table table({"NAME", ">SIZE", "NOTE"});
  table.add_row({"a", "10", "x"});
  table.add_row({"long-name", "2", ""});
  EXPECT_EQ(table.text(),
            "NAME       SIZE  NOTE\n"
            "a            10  x\n"
            "long-name     2\n");
}

TEST(Properties, align_values) {
  Properties properties;
  properties.add("name", "vm-1");
  properties.add("block size", "4 MiB");
  properties.add("", "more");
  EXPECT_EQ(properties.text(), "name        vm-1\nblock size  4 MiB\n            more\n");
}

TEST(OneLine, escapes_what_would_break_a_line_or_a_terminal) {
  EXPECT_EQ(one_line("a\nb\x1b[31m"), "a\\x0ab\\x1b[31m");
  EXPECT_EQ(one_line("größe"), "größe");
}

TEST(FormatTime, is_utc) {
  EXPECT_EQ(format_time(1'763'838'131), "2025-11-22T19:02:11Z");
  EXPECT_EQ(format_time(0), "-");
}

TEST(ExitStatus, follows_the_contract) {
  EXPECT_EQ(exit_status(Code::invalid), ExitStatus::usage);
  EXPECT_EQ(exit_status(Code::not_found), ExitStatus::not_found);
  EXPECT_EQ(exit_status(Code::exists), ExitStatus::exists);
  EXPECT_EQ(exit_status(Code::busy), ExitStatus::busy);
  EXPECT_EQ(exit_status(Code::no_space), ExitStatus::no_space);
  EXPECT_EQ(exit_status(Code::unreachable), ExitStatus::unreachable);
  EXPECT_EQ(exit_status(Code::refused), ExitStatus::refused);
  EXPECT_EQ(exit_status(Code::io), ExitStatus::failed);
  EXPECT_EQ(static_cast<int>(ExitStatus::refused), 8);
}

TEST(ProgressBar, stays_silent_without_a_terminal_and_at_first) {
  std::ostringstream file;
  ProgressBar(file, false, 0s).update(1, 2);
  EXPECT_EQ(file.str(), "");
  std::ostringstream screen;
  ProgressBar(screen, true, 1h).update(1, 2);
  EXPECT_EQ(screen.str(), "");
}

TEST(ProgressBar, shows_a_line_and_takes_it_away) {
  std::ostringstream screen;
  {
    ProgressBar bar(screen, true, 0s);
    bar.update(1, 2);
  }
  EXPECT_NE(screen.str().find(" 50%  1/2 blocks"), std::string::npos);
  EXPECT_TRUE(screen.str().ends_with("\r\x1b[K"));
}

TEST(ProgressLine, handles_empty_work_and_too_much_of_it) {
  EXPECT_EQ(progress_line(0, 0, 4), "[####] 100%  0/0 blocks");
  EXPECT_EQ(progress_line(5, 4, 4), "[####] 100%  4/4 blocks");
  EXPECT_EQ(progress_line(1, 4, 4), "[#...]  25%  1/4 blocks");
}

TEST(ParseTimeout, takes_seconds_and_units) {
  EXPECT_EQ(*parse_timeout("10"), 10'000ms);
  EXPECT_EQ(*parse_timeout("0.5"), 500ms);
  EXPECT_EQ(*parse_timeout("500ms"), 500ms);
  EXPECT_EQ(*parse_timeout("2m"), 120'000ms);
  for (const char* text : {"", "x", "0", "-1", "1e9", "nan", "inf", "1y"}) {
    EXPECT_TRUE(parse_timeout(text).failed_with(Code::invalid)) << text;
  }
}

/// A file that vanishes at the end.
class TempFile {
 public:
  explicit TempFile(const std::string& text) { std::ofstream(path()) << text; }
  std::string path() const { return folder_.path() / "ukaictl.toml"; }

 private:
  test::TempFolder folder_;
};

TEST(Settings, prefer_the_option_to_the_environment_to_the_file) {
  const TempFile file("[metadata]\nservers = \"file:1\"\n");
  auto nothing = [](const std::string&) { return std::optional<std::string>(); };
  auto variable = [](const std::string&) { return std::optional<std::string>("env:1"); };
  Globals globals;
  globals.config = file.path();
  EXPECT_EQ(resolve_settings(globals, nothing)->servers, "file:1");
  EXPECT_EQ(resolve_settings(globals, variable)->servers, "env:1");
  globals.metadata = "option:1";
  EXPECT_EQ(resolve_settings(globals, variable)->servers, "option:1");
}

TEST(Settings, read_the_defaults_of_create_image) {
  const TempFile file("[create]\nlocation = \"n1\"\nblock_size = \"1MiB\"\n");
  Globals globals;
  globals.config = file.path();
  auto settings =
      resolve_settings(globals, [](const std::string&) { return std::optional<std::string>(); });
  ASSERT_TRUE(settings.ok());
  EXPECT_EQ(settings->create_location, "n1");
  EXPECT_EQ(settings->create_block_size, 1U << 20);
}

TEST(SplitList, refuses_empty_elements) {
  EXPECT_EQ(*split_list({"a,b", "c"}, "--x"), (std::vector<std::string>{"a", "b", "c"}));
  for (const char* text : {"", ",", "a,", ",a", "a,,b"}) {
    EXPECT_TRUE(split_list({text}, "--x").failed_with(Code::invalid)) << text;
  }
}

TEST(ParseMeta, tells_setting_from_removing) {
  auto change = parse_meta({"a=1", "b=", "c=x=y"});
  ASSERT_TRUE(change.ok());
  EXPECT_EQ(change->set().at("a"), "1");
  EXPECT_EQ(change->set().at("c"), "x=y");
  EXPECT_EQ(change->unset(0), "b");
  for (const char* text : {"", "a", "=1", "a b=1", "a\n=1"}) {
    EXPECT_TRUE(parse_meta({text}).failed_with(Code::invalid)) << text;
  }
}

}  // namespace
}  // namespace ukai::ctl
