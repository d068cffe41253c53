// SPDX-License-Identifier: BSD-2-Clause
#include "node/packing.h"

#include <gtest/gtest.h>

#include <random>

namespace ukai {
namespace {

std::string dice(std::size_t length) {
  std::mt19937_64 random(7);
  std::string out;
  while (out.size() < length) out += static_cast<char>(random());
  return out;
}

Payload payload(const std::string& text) { return Payload(Bytes::copy_of(text)); }

TEST(Packing, gives_back_what_it_was_given) {
  for (const std::string& text :
       {std::string(1, 'x'), std::string(65536, 'x'), dice(65536), dice(100),
        dice(4096) + std::string(61440, 'y'), std::string(4096, 'z') + dice(61440)}) {
    const Payload packed = pack(payload(text));
    EXPECT_LE(packed.size(), text.size() + 1);
    auto back = unpack(packed, text.size());
    ASSERT_TRUE(back.ok());
    EXPECT_EQ(back->to_string(), text);
  }
}

TEST(Packing, saves_where_it_pays_and_does_not_try_long_where_it_does_not) {
  EXPECT_LT(pack(payload(std::string(65536, 'x'))).size(), 200U);
  EXPECT_EQ(pack(payload(dice(65536))).size(), 65537U);
}

TEST(Packing, refuses_what_it_did_not_make) {
  const Payload packed = pack(payload(std::string(65536, 'x')));
  EXPECT_TRUE(unpack(packed, 65535).failed_with(Code::corrupt));
  EXPECT_TRUE(unpack(packed, 65537).failed_with(Code::corrupt));
  EXPECT_TRUE(unpack(packed.part(0, packed.size() - 1), 65536).failed_with(Code::corrupt));
  EXPECT_TRUE(unpack(Payload(), 0).failed_with(Code::corrupt));
  EXPECT_TRUE(unpack(payload(std::string("\x02x", 2)), 1).failed_with(Code::corrupt));
  EXPECT_TRUE(unpack(payload(std::string("\0xy", 3)), 1).failed_with(Code::corrupt));
}

}  // namespace
}  // namespace ukai
