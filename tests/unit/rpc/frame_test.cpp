// SPDX-License-Identifier: BSD-2-Clause
#include "rpc/frame.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <random>

#include "ukai/limits.h"

namespace ukai {
namespace {

using Random = std::mt19937_64;

std::string random_text(Random& random, std::size_t size) {
  std::string text(size, '\0');
  for (char& c : text) c = static_cast<char>(random());
  return text;
}

/// The bytes of `text` in pieces of random sizes, as a network delivers them.
Payload in_pieces(Random& random, const std::string& text, std::size_t piece_max) {
  Payload payload;
  for (std::size_t at = 0; at < text.size();) {
    const std::size_t size = std::min<std::size_t>(1 + random() % piece_max, text.size() - at);
    payload.append(Bytes::copy_of(std::string_view(text).substr(at, size)));
    at += size;
  }
  return payload;
}

RequestFrame random_request(Random& random, std::size_t payload_max) {
  RequestFrame frame;
  frame.id = random();
  IoRequest& request = frame.request;
  request.op = static_cast<IoOp>(1 + random() % 8);
  request.disk = DiskId::random();
  request.epoch = Epoch{random()};
  request.session = Session{random()};
  request.sequence = Sequence{random()};
  request.generation = Generation{random()};
  request.block = BlockIndex{random()};
  request.offset_bytes = random();
  request.missing_mask = random();
  request.length_bytes = static_cast<std::uint32_t>(random() % (payload_max + 1));
  if (request.op == IoOp::write) {
    request.data = in_pieces(random, random_text(random, request.length_bytes), 300);
  }
  return frame;
}

ReplyFrame random_reply(Random& random, std::size_t payload_max) {
  ReplyFrame frame;
  frame.id = random();
  if (random() % 3 == 0) {
    const auto code = static_cast<Code>(random() % 13);
    frame.reply = IoReply::failed(code, random_text(random, random() % 200));
  } else {
    frame.reply.data = in_pieces(random, random_text(random, random() % (payload_max + 1)), 300);
  }
  return frame;
}

void expect_equal(const RequestFrame& a, const RequestFrame& b) {
  EXPECT_EQ(a.id, b.id);
  EXPECT_EQ(a.request.op, b.request.op);
  EXPECT_EQ(a.request.disk, b.request.disk);
  EXPECT_EQ(a.request.epoch, b.request.epoch);
  EXPECT_EQ(a.request.session, b.request.session);
  EXPECT_EQ(a.request.sequence, b.request.sequence);
  EXPECT_EQ(a.request.generation, b.request.generation);
  EXPECT_EQ(a.request.block, b.request.block);
  EXPECT_EQ(a.request.offset_bytes, b.request.offset_bytes);
  EXPECT_EQ(a.request.missing_mask, b.request.missing_mask);
  EXPECT_EQ(a.request.length_bytes, b.request.length_bytes);
  EXPECT_EQ(a.request.data.to_string(), b.request.data.to_string());
}

void expect_equal(const ReplyFrame& a, const ReplyFrame& b) {
  EXPECT_EQ(a.id, b.id);
  EXPECT_EQ(a.reply.ok, b.reply.ok);
  if (!a.reply.ok) {
    EXPECT_EQ(a.reply.code, b.reply.code);
  }
  EXPECT_EQ(a.reply.what, b.reply.what);
  EXPECT_EQ(a.reply.data.to_string(), b.reply.data.to_string());
}

Payload one_piece(std::string text) { return Payload(Bytes::copy_of(text)); }

/// A good message with one write of four bytes.
std::string good_message() {
  RequestFrame frame;
  frame.id = 7;
  frame.request.op = IoOp::write;
  frame.request.length_bytes = 4;
  frame.request.data = one_piece("data");
  return encode_requests(std::span(&frame, 1)).to_string();
}

void expect_refused(const std::string& message, std::string_view why) {
  auto decoded = decode_requests(one_piece(message));
  ASSERT_FALSE(decoded.ok()) << why;
  EXPECT_EQ(decoded.code(), Code::invalid);
  EXPECT_NE(decoded.error().what.find(why), std::string::npos) << decoded.error().what;
}

// Places in a message with one request.
constexpr std::size_t at_frames = 4;
constexpr std::size_t at_length = 8 + 80;
constexpr std::size_t at_payload_bytes = 8 + 84;
constexpr std::size_t at_op = 8 + 88;

TEST(Frame, requests_survive_the_wire_whatever_pieces_they_arrive_in) {
  Random random(1);
  for (int round = 0; round < 200; ++round) {
    std::vector<RequestFrame> frames;
    for (std::uint64_t n = 1 + random() % limits::batch_frames_max; n > 0; --n) {
      frames.push_back(random_request(random, 2000));
    }
    const std::string wire = encode_requests(frames).to_string();
    auto decoded = decode_requests(in_pieces(random, wire, 1 + random() % 5000));
    ASSERT_TRUE(decoded.ok()) << decoded.error().what;
    ASSERT_EQ(decoded->size(), frames.size());
    for (std::size_t i = 0; i < frames.size(); ++i) expect_equal(frames[i], (*decoded)[i]);
  }
}

TEST(Frame, replies_survive_the_wire_whatever_pieces_they_arrive_in) {
  Random random(2);
  for (int round = 0; round < 200; ++round) {
    std::vector<ReplyFrame> frames;
    for (std::uint64_t n = 1 + random() % limits::batch_frames_max; n > 0; --n) {
      frames.push_back(random_reply(random, 2000));
    }
    const std::string wire = encode_replies(frames).to_string();
    auto decoded = decode_replies(in_pieces(random, wire, 1 + random() % 5000));
    ASSERT_TRUE(decoded.ok()) << decoded.error().what;
    ASSERT_EQ(decoded->size(), frames.size());
    for (std::size_t i = 0; i < frames.size(); ++i) expect_equal(frames[i], (*decoded)[i]);
  }
}

std::string from_hex(std::string_view hex) {
  std::string bytes;
  for (std::size_t i = 0; i + 1 < hex.size(); i += 2) {
    if (hex[i] == ' ') ++i;
    bytes.push_back(static_cast<char>(std::stoi(std::string(hex.substr(i, 2)), nullptr, 16)));
  }
  return bytes;
}

// The two examples of docs/protocol.md.
TEST(Frame, a_request_looks_as_documented) {
  RequestFrame frame;
  frame.id = 0x1'0000'0007;
  frame.request.op = IoOp::write;
  frame.request.disk = *DiskId::parse("0123456789abcdef0123456789abcdef");
  frame.request.epoch = Epoch{3};
  frame.request.session = Session{1};
  frame.request.sequence = Sequence{42};
  frame.request.block = BlockIndex{5};
  frame.request.offset_bytes = 4096;
  frame.request.missing_mask = 2;
  frame.request.length_bytes = 4;
  frame.request.data = one_piece("data");
  EXPECT_EQ(encode_requests(std::span(&frame, 1)).to_string(),
            from_hex("55 4b 51 31 01 00 00 00 07 00 00 00 01 00 00 00 "
                     "01 23 45 67 89 ab cd ef 01 23 45 67 89 ab cd ef "
                     "03 00 00 00 00 00 00 00 01 00 00 00 00 00 00 00 "
                     "2a 00 00 00 00 00 00 00 01 00 00 00 00 00 00 00 "
                     "05 00 00 00 00 00 00 00 00 10 00 00 00 00 00 00 "
                     "02 00 00 00 00 00 00 00 04 00 00 00 04 00 00 00 "
                     "02 00 00 00 00 00 00 00 64 61 74 61"));
}

TEST(Frame, answers_look_as_documented) {
  std::vector<ReplyFrame> frames(2);
  frames[0].id = 0x1'0000'0007;
  frames[1].id = 0x1'0000'0008;
  frames[1].reply = IoReply::failed(Code::stale, "an older epoch");
  EXPECT_EQ(encode_replies(frames).to_string(),
            from_hex("55 4b 41 31 02 00 00 00 07 00 00 00 01 00 00 00 "
                     "00 00 00 00 00 00 00 00 08 00 00 00 01 00 00 00 "
                     "00 00 00 00 0e 00 09 00 61 6e 20 6f 6c 64 65 72 "
                     "20 65 70 6f 63 68"));
}

TEST(Frame, a_batch_is_bounded_in_frames_and_bytes_but_never_empty) {
  std::vector<RequestFrame> small(100);
  EXPECT_EQ(batch_length(small), limits::batch_frames_max);

  std::vector<RequestFrame> large(3);
  for (RequestFrame& frame : large) {
    frame.request.op = IoOp::write;
    frame.request.length_bytes = limits::io_bytes_max;
    frame.request.data = Payload::zeros(limits::io_bytes_max);
  }
  EXPECT_EQ(batch_length(large), 1U);
  EXPECT_TRUE(decode_requests(encode_requests(std::span(large).first(1))).ok());
  EXPECT_FALSE(decode_requests(encode_requests(large)).ok());
}

TEST(Frame, a_long_text_is_cut) {
  ReplyFrame frame;
  frame.reply = IoReply::failed(Code::io, std::string(5000, 'x'));
  auto decoded = decode_replies(encode_replies(std::span(&frame, 1)));
  ASSERT_TRUE(decoded.ok());
  EXPECT_EQ(decoded->front().reply.what.size(), limits::frame_what_bytes_max);
}

TEST(FrameRefuses, every_truncation_and_every_extra_byte) {
  const std::string good = good_message();
  ASSERT_TRUE(decode_requests(one_piece(good)).ok());
  for (std::size_t size = 0; size < good.size(); ++size) {
    EXPECT_FALSE(decode_requests(one_piece(good.substr(0, size))).ok()) << size;
  }
  EXPECT_FALSE(decode_requests(one_piece(good + "x")).ok());
  EXPECT_FALSE(decode_replies(one_piece(good)).ok());
}

TEST(FrameRefuses, numbers_that_mean_nothing_and_lengths_that_lie) {
  auto with = [](std::size_t at, std::string_view bytes) {
    return good_message().replace(at, bytes.size(), bytes);
  };
  expect_refused(with(0, "UKQ2"), "magic or version");
  expect_refused(with(at_frames, std::string_view("\0\0\0\0", 4)), "0 frames");
  expect_refused(with(at_frames, std::string_view("\x41\0\0\0", 4)), "65 frames");
  expect_refused(with(at_frames, "\xFF\xFF\xFF\xFF"), "frames");
  expect_refused(with(at_frames, std::string_view("\x02\0\0\0", 4)), "cut off");
  expect_refused(with(at_op, std::string_view("\0", 1)), "unknown operation 0");
  expect_refused(with(at_op, "\x0b"), "unknown operation 11");
  expect_refused(with(at_op, "\x01"), "operation 1 with 4 payload bytes");
  expect_refused(with(at_op + 1, "\x01"), "reserved");
  expect_refused(with(at_length, "\x03"), "payload bytes");
  expect_refused(with(at_payload_bytes, "\xFF\xFF\xFF\xFF"), "announced");
}

TEST(FrameRefuses, random_damage_without_crashing) {
  Random random(3);
  for (int round = 0; round < 20'000; ++round) {
    std::vector<RequestFrame> frames(1 + random() % 3);
    for (RequestFrame& frame : frames) frame = random_request(random, 100);
    std::string wire = encode_requests(frames).to_string();
    for (std::uint64_t flips = 1 + random() % 4; flips > 0; --flips) {
      wire[random() % wire.size()] = static_cast<char>(random());
    }
    if (random() % 4 == 0) wire.resize(random() % wire.size());
    auto decoded = decode_requests(in_pieces(random, wire, 200));
    if (decoded.ok()) {  // what was accepted means the same when it is sent again
      EXPECT_EQ(encode_requests(*decoded).to_string(), wire);
    }
    if (auto replies = decode_replies(one_piece(wire)); replies.ok()) {
      EXPECT_EQ(encode_replies(*replies).to_string(), wire);
    }
  }
}

TEST(FrameRefuses, damaged_replies_without_crashing) {
  Random random(4);
  for (int round = 0; round < 20'000; ++round) {
    std::vector<ReplyFrame> frames(1 + random() % 3);
    for (ReplyFrame& frame : frames) frame = random_reply(random, 100);
    std::string wire = encode_replies(frames).to_string();
    wire[random() % std::min<std::size_t>(wire.size(), 60)] = static_cast<char>(random());
    auto decoded = decode_replies(in_pieces(random, wire, 50));
    if (decoded.ok()) {
      EXPECT_EQ(encode_replies(*decoded).to_string(), wire);
    }
  }
}

}  // namespace
}  // namespace ukai
