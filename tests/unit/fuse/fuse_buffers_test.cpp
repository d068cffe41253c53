// SPDX-License-Identifier: BSD-2-Clause
#include "fuse/fuse_buffers.h"

#include <gtest/gtest.h>

#include <cstdlib>
#include <cstring>

namespace ukai::fuse {
namespace {

/// Receives `text` as libfuse would, and keeps it.
Bytes receive(FuseBuffers& buffers, const char* text) {
  auto buffer = buffers.take();
  if (buffer->memory() == nullptr) buffer->set_memory(std::malloc(64));  // NOLINT: as libfuse does
  std::memcpy(buffer->memory(), text, 4);
  const auto* bytes = static_cast<const std::byte*>(buffer->memory());
  return buffers.keep(buffer, {bytes, 4});
}

TEST(FuseBuffers, keeps_a_payload_where_it_was_received) {
  FuseBuffers buffers;
  auto buffer = buffers.take();
  buffer->set_memory(std::malloc(64));  // NOLINT: as libfuse does
  EXPECT_FALSE(buffer->kept());
  const auto* bytes = static_cast<const std::byte*>(buffer->memory());
  const Bytes kept = buffers.keep(buffer, {bytes, 4});
  EXPECT_TRUE(buffer->kept());
  EXPECT_EQ(kept.data(), bytes);
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
  buffer->set_memory(std::malloc(64));  // NOLINT: as libfuse does
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
