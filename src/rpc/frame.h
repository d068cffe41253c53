// SPDX-License-Identifier: BSD-2-Clause
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

#include "ukai/bytes.h"
#include "ukai/io.h"
#include "ukai/result.h"

/// The messages of a data stream (docs/protocol.md has the grammar and a worked example). A message
/// is a batch: a fixed head, one fixed header a frame, then the frames' payloads in the same order.
/// Everything is little endian. Pure: no I/O, no threads, no state.
namespace ukai {

/// A request on its way to a node or host; `id` comes back with the reply.
struct RequestFrame {
  std::uint64_t id = 0;
  IoRequest request;
};

struct ReplyFrame {
  std::uint64_t id = 0;
  IoReply reply;
};

/// How many frames from the front of `queue`, which is not empty, go into the next message: at
/// least one, then as many as limits::batch_frames_max and batch_bytes_max let through.
std::size_t batch_length(std::span<const RequestFrame> queue);
std::size_t batch_length(std::span<const ReplyFrame> queue);

/// One message of `frames`, which are a batch in the sense above. Payloads are referred to, not
/// copied. A failed reply carries no payload, and its text is cut to limits::frame_what_bytes_max.
Payload encode_requests(std::span<const RequestFrame> frames);
Payload encode_replies(std::span<const ReplyFrame> frames);

/// The frames of one message; payloads share the memory of `message`. invalid: anything that
/// encode_…() could not have made (truncated, oversized, left-over bytes, unknown numbers); the
/// text says what was wrong.
Result<std::vector<RequestFrame>> decode_requests(const Payload& message);
Result<std::vector<ReplyFrame>> decode_replies(const Payload& message);

}  // namespace ukai
