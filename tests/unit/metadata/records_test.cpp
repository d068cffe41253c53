// SPDX-License-Identifier: BSD-2-Clause
#include "metadata/records.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace ukai {
namespace {

using testing::HasSubstr;

pb::NameRecord example() {
  pb::NameRecord record;
  record.set_disk_id("00112233445566778899aabbccddeeff");
  return record;
}

TEST(Records, have_the_envelope_that_the_document_shows) {
  const std::string value = encode_record(example());
  EXPECT_EQ(value, std::string("UKR1I\x0a\x20") + "00112233445566778899aabbccddeeff");
  auto back = decode_record<pb::NameRecord>("/ukai/names/x", value);
  ASSERT_TRUE(back.ok()) << back.error().what;
  EXPECT_EQ(back->disk_id(), "00112233445566778899aabbccddeeff");
}

TEST(Records, are_refused_when_damaged_and_named_by_their_path) {
  const std::string good = encode_record(example());
  const std::pair<std::string, const char*> cases[] = {
      {"", "is empty"},
      {"UKR1", "is no UKAI record"},
      {"{\"json\": true}", "is no UKAI record"},
      {"UKR0" + good.substr(4), "is no UKAI record"},
      {"UKR2" + good.substr(4), "envelope UKR2 of a newer UKAI"},
      {"UKR1D" + good.substr(5), "is of kind 'D', not 'I'"},
      {good.substr(0, good.size() - 1), "does not parse"},
      {"UKR1I\xff\xff\xff\xff", "does not parse"},
  };
  for (const auto& [value, why] : cases) {
    auto record = decode_record<pb::NameRecord>("/ukai/names/x", value);
    ASSERT_TRUE(record.failed_with(Code::corrupt)) << why;
    EXPECT_THAT(record.error().what, HasSubstr("/ukai/names/x"));
    EXPECT_THAT(record.error().what, HasSubstr(why));
  }
}

TEST(Records, keep_fields_of_a_newer_version) {
  // Field 99, a string: what a later UKAI might add.
  const std::string newer = encode_record(example()) + "\x9a\x06\x03new";
  auto record = decode_record<pb::NameRecord>("/p", newer);
  ASSERT_TRUE(record.ok());
  record->set_disk_id("ffffffffffffffffffffffffffffffff");
  EXPECT_THAT(encode_record(*record), HasSubstr("\x9a\x06\x03new"));
}

}  // namespace
}  // namespace ukai
