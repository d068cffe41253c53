// SPDX-License-Identifier: BSD-2-Clause
#include "fuse/fuse_buffers.h"

#include <gtest/gtest.h>
#include <linux/fuse.h>

#include <cstring>

namespace ukai::fuse {
namespace {

/// Receives `text` as libfuse would, and keeps it.
Bytes receive(FuseBuffers& buffers, const char* text) {
  auto buffer = buffers.take();
  std::memcpy(buffer->memory(), text, 4);
  const auto* bytes = static_cast<const std::byte*>(buffer->memory());
  return buffers.keep(buffer, {bytes, 4});
}

TEST(FuseBuffers, keeps_a_payload_where_it_was_received) {
  FuseBuffers buffers;
  auto buffer = buffers.take();
  EXPECT_FALSE(buffer->kept());
  const auto* bytes = static_cast<const std::byte*>(buffer->memory());
  const Bytes kept = buffers.keep(buffer, {bytes, 4});
  EXPECT_TRUE(buffer->kept());
  EXPECT_EQ(kept.data(), bytes);
}

TEST(FuseBuffers, have_a_writes_data_begin_with_a_page_and_room_for_the_largest) {
  FuseBuffers buffers;
  const auto buffer = buffers.take();
  auto* const data =
      static_cast<std::byte*>(buffer->memory()) + sizeof(fuse_in_header) + sizeof(fuse_write_in);
  EXPECT_EQ(reinterpret_cast<std::uintptr_t>(data) % 4096, 0U);
  std::memset(buffer->memory(), 1, sizeof(fuse_in_header) + sizeof(fuse_write_in) + (1U << 20));
}

TEST(FuseBuffers, uses_a_buffer_again_only_when_its_payload_has_gone) {
  FuseBuffers buffers;
  Bytes first = receive(buffers, "one.");
  const auto* place = first.data();
  const Bytes second = receive(buffers, "two.");
  EXPECT_NE(second.data(), place);
  EXPECT_EQ(std::memcmp(place, "one.", 4), 0);
  first = Bytes();
  EXPECT_EQ(receive(buffers, "tri.").data(), place);
}

TEST(FuseBuffers, copies_when_too_many_payloads_hold_whole_buffers) {
  FuseBuffers buffers;
  std::vector<Bytes> kept;
  for (int i = 0; i < 128; ++i) kept.push_back(receive(buffers, "keep"));
  auto buffer = buffers.take();
  std::memcpy(buffer->memory(), "copy", 4);
  const auto* bytes = static_cast<const std::byte*>(buffer->memory());
  const Bytes copy = buffers.keep(buffer, {bytes, 4});
  EXPECT_NE(copy.data(), bytes);
  EXPECT_EQ(std::memcmp(copy.data(), "copy", 4), 0);
  EXPECT_FALSE(buffer->kept());
}

TEST(FuseBuffers, may_go_before_the_payloads) {
  Bytes kept;
  {
    FuseBuffers buffers;
    kept = receive(buffers, "last");
  }
  EXPECT_EQ(std::memcmp(kept.data(), "last", 4), 0);
}

}  // namespace
}  // namespace ukai::fuse
