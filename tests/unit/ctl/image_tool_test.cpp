// SPDX-License-Identifier: BSD-2-Clause
#include "ctl/image_tool.h"

#include <gmock/gmock.h>

#include "ctl/child_process.h"

namespace ukai::ctl {
namespace {

using testing::ElementsAre;
using testing::Optional;

TEST(ImageInfo, is_format_size_and_what_else_the_image_needs) {
  auto info = parse_image_info(R"({"virtual-size": 8388608, "format": "raw"})");
  ASSERT_TRUE(info.ok());
  EXPECT_EQ(info->format, "raw");
  EXPECT_EQ(info->size_bytes, 8'388'608U);
  EXPECT_EQ(info->other_file, "");
  info = parse_image_info(
      R"({"virtual-size": 1, "format": "qcow2", "backing-filename": "/etc/passwd"})");
  ASSERT_TRUE(info.ok());
  EXPECT_EQ(info->other_file, "/etc/passwd");
  info = parse_image_info(R"({"virtual-size": 1, "format": "qcow2",
                              "format-specific": {"data": {"data-file": "x"}}})");
  ASSERT_TRUE(info.ok());
  EXPECT_EQ(info->other_file, "x");
}

TEST(ImageInfo, is_not_guessed_from_something_else) {
  for (const char* text :
       {"", "[]", "7", "{}", R"({"format": "raw"})", R"({"format": 1, "virtual-size": 1})",
        R"({"format": "raw", "virtual-size": -1})"}) {
    EXPECT_TRUE(parse_image_info(text).failed_with(Code::corrupt)) << text;
  }
}

TEST(Progress, is_the_last_percentage) {
  EXPECT_THAT(parse_progress("    (0.00/100%)\r    (12.50/100%)\r"), Optional(0.125));
  EXPECT_EQ(parse_progress("12.5/100%)"), std::nullopt);
  EXPECT_EQ(parse_progress("(x/100%)"), std::nullopt);
  EXPECT_EQ(parse_progress(""), std::nullopt);
}

TEST(Formats, are_raw_and_qcow2) {
  EXPECT_EQ(format_of_name("a.qcow2"), "qcow2");
  EXPECT_EQ(format_of_name("qcow2"), "raw");
  EXPECT_TRUE(check_image_format("qcow2").ok());
  EXPECT_TRUE(check_image_format("QCOW2").failed_with(Code::invalid));
}

TEST(Conversions, into_a_disk_write_no_zeros_and_past_no_cache) {
  Conversion conversion{"/a", "qcow2", "/b", "raw", true, false};
  EXPECT_THAT(convert_command(conversion),
              ElementsAre("qemu-img", "convert", "-p", "-n", "--target-is-zero", "-W", "-t", "none",
                          "-f", "qcow2", "-O", "raw", "/a", "/b"));
  conversion = {"/b", "raw", "/c", "qcow2", false, true};
  EXPECT_THAT(convert_command(conversion), ElementsAre("qemu-img", "convert", "-p", "-U", "-f",
                                                       "raw", "-O", "qcow2", "/b", "/c"));
}

TEST(ChildProcess, says_how_it_ended_and_what_it_said) {
  ChildWatch watch;
  std::string pieces;
  watch.said = [&](std::string_view text) { pieces += text; };
  auto end = run_child({"sh", "-c", "echo \"$LC_ALL\"; echo no >&2; exit 3"}, watch);
  ASSERT_TRUE(end.ok());
  EXPECT_EQ(end->status, 3);
  EXPECT_EQ(end->out, "C\n");
  EXPECT_EQ(pieces, "C\n");
  EXPECT_EQ(end->err, "no\n");
  end = run_child({"sh", "-c", "kill -9 $$"}, watch);
  ASSERT_TRUE(end.ok());
  EXPECT_EQ(end->status, 128 + 9);
  EXPECT_TRUE(run_child({"no-such-program-here"}, watch).failed_with(Code::not_found));
}

TEST(ChildProcess, ends_when_it_is_told_to) {
  ChildWatch watch;
  watch.stop = [] { return true; };
  EXPECT_TRUE(run_child({"sleep", "600"}, watch).failed_with(Code::io));
}

}  // namespace
}  // namespace ukai::ctl
