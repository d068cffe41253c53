// SPDX-License-Identifier: BSD-2-Clause
#include "ukai/types.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <limits>
#include <set>

#include "ukai/limits.h"

namespace ukai {
namespace {

using testing::HasSubstr;
using testing::Not;

std::string refused_name(std::string_view text) {
  const auto name = parse_disk_name(text);
  EXPECT_TRUE(name.failed_with(Code::invalid)) << "'" << text << "'";
  return name.ok() ? "" : name.error().what;
}

std::string refused_size(std::string_view text) {
  const auto size = parse_size(text);
  EXPECT_TRUE(size.failed_with(Code::invalid)) << "'" << text << "'";
  return size.ok() ? "" : size.error().what;
}

TEST(DiskNames, may_hold_letters_digits_dots_underscores_and_dashes) {
  for (const char* text : {"a", "7", "_x", "vm-1.root_disk", "A.B-c", "0..0", "x-", "x."}) {
    const auto name = parse_disk_name(text);
    ASSERT_TRUE(name.ok()) << text;
    EXPECT_EQ(name->str(), text);
  }
}

TEST(DiskNames, cannot_leave_the_folder_or_hide_or_look_like_an_option) {
  for (const char* text : {".", "..", ".hidden", "-f", "--help", "../x"}) {
    EXPECT_THAT(refused_name(text), HasSubstr("must start with"));
  }
  for (const char* text : {"a/b", "vm@snap", "a b", "a\\b", "a:b", "caf\xc3\xa9", "a*"}) {
    EXPECT_THAT(refused_name(text), HasSubstr("may hold only"));
  }
  EXPECT_THAT(refused_name(std::string_view("a\0b", 3)), HasSubstr("may hold only"));
}

TEST(DiskNames, with_control_characters_are_refused_in_one_clear_line) {
  EXPECT_THAT(refused_name("a\nb\x1b[31m"),
              Not(testing::AnyOf(HasSubstr("\n"), HasSubstr("\x1b"))));
}

TEST(DiskNames, have_1_to_128_characters) {
  EXPECT_THAT(refused_name(""), HasSubstr("empty"));
  EXPECT_TRUE(parse_disk_name(std::string(128, 'x')).ok());
  EXPECT_THAT(refused_name(std::string(129, 'x')), HasSubstr("129 characters, 128 are allowed"));
}

TEST(Ids, have_1_to_64_characters_and_are_called_what_the_caller_calls_them) {
  EXPECT_TRUE(parse_id(std::string(64, 'n'), "node").ok());
  EXPECT_THAT(parse_id(std::string(65, 'n'), "node").error().what, HasSubstr("node name has 65"));
  EXPECT_THAT(parse_id("", "host").error().what, HasSubstr("host name is empty"));
  EXPECT_TRUE(parse_id("a/b", "host").failed_with(Code::invalid));
}

TEST(DiskIds, come_back_from_their_text) {
  const std::string text = "00112233445566778899aabbccddeeff";
  const auto id = DiskId::parse(text);
  ASSERT_TRUE(id.ok());
  EXPECT_EQ(id->to_string(), text);
  EXPECT_EQ(id->bytes()[1], 0x11);
  EXPECT_EQ(id->bytes()[15], 0xff);
}

TEST(DiskIds, are_refused_unless_they_are_32_lower_case_hex_digits) {
  for (const std::string& text :
       {std::string(), std::string(31, 'a'), std::string(33, 'a'), std::string(32, 'A'),
        std::string(32, 'g'), std::string(31, 'a') + " ", std::string(32, '\0')}) {
    EXPECT_TRUE(DiskId::parse(text).failed_with(Code::invalid)) << text;
  }
}

TEST(DiskIds, are_never_drawn_twice) {
  std::set<DiskId> drawn;
  for (int i = 0; i < 1000; ++i) EXPECT_TRUE(drawn.insert(DiskId::random()).second);
}

TEST(Sizes, are_bytes_or_powers_of_1024) {
  const std::pair<const char*, std::uint64_t> cases[] = {
      {"0", 0},
      {"512", 512},
      {"512B", 512},
      {"4K", 4096},
      {"4k", 4096},
      {"4KiB", 4096},
      {"4KB", 4096},
      {"1M", 1ULL << 20},
      {"1MiB", 1ULL << 20},
      {"10G", 10ULL << 30},
      {"2TiB", 2ULL << 40},
      {"1P", 1ULL << 50},
  };
  for (const auto& [text, bytes] : cases) {
    const auto size = parse_size(text);
    ASSERT_TRUE(size.ok()) << text;
    EXPECT_EQ(*size, bytes) << text;
  }
}

TEST(Sizes, are_refused_when_they_are_no_plain_number_with_a_known_unit) {
  for (const char* text : {"", "G", "-1", "+1", " 1", "1 ", "1 G", "1.5G", "0x10", "1e9", "4E",
                           "4iB", "4KiBB", "4KK", "4,096", "ten"}) {
    EXPECT_THAT(refused_size(text), HasSubstr("is not a size")) << text;
  }
}

TEST(Sizes, that_do_not_fit_64_bits_are_too_large_instead_of_small) {
  EXPECT_EQ(*parse_size("18446744073709551615"), std::numeric_limits<std::uint64_t>::max());
  EXPECT_EQ(*parse_size("16383P"), 16383ULL << 50);
  for (const char* text :
       {"18446744073709551616", "16384P", "17179869184G", "99999999999999999999999999M"}) {
    EXPECT_THAT(refused_size(text), HasSubstr("too large")) << text;
  }
}

TEST(Sizes, are_shown_in_the_largest_unit_they_reach) {
  EXPECT_EQ(format_size(0), "0 B");
  EXPECT_EQ(format_size(1023), "1023 B");
  EXPECT_EQ(format_size(4194304), "4 MiB");
  EXPECT_EQ(format_size(1536), "1.5 KiB");
  EXPECT_EQ(format_size(limits::disk_size_bytes_max), "64 TiB");
  EXPECT_EQ(format_size(std::numeric_limits<std::uint64_t>::max()), "16384 PiB");
}

TEST(ByteRanges, overlap_only_when_they_share_a_byte) {
  const ByteRange range{100, 200};
  EXPECT_TRUE(range.overlaps({199, 300}));
  EXPECT_TRUE(range.overlaps({0, 101}));
  EXPECT_TRUE(range.overlaps({0, 300}));
  EXPECT_TRUE(range.overlaps({150, 151}));
  EXPECT_FALSE(range.overlaps({200, 300}));
  EXPECT_FALSE(range.overlaps({0, 100}));
}

TEST(BlockRanges, contain_their_begin_but_not_their_end) {
  const BlockRange range{BlockIndex{2}, BlockIndex{5}};
  EXPECT_EQ(range.count(), 3U);
  EXPECT_FALSE(range.contains(BlockIndex{1}));
  EXPECT_TRUE(range.contains(BlockIndex{2}));
  EXPECT_TRUE(range.contains(BlockIndex{4}));
  EXPECT_FALSE(range.contains(BlockIndex{5}));
}

}  // namespace
}  // namespace ukai
