// SPDX-License-Identifier: BSD-2-Clause
#include "rpc/frame.h"

#include <fmt/format.h>

#include <algorithm>
#include <bit>
#include <cassert>
#include <cstring>
#include <memory>
#include <type_traits>

#include "rpc/status.h"
#include "ukai/limits.h"

namespace ukai {
namespace {

// The structs below are the wire format, byte for byte.
static_assert(std::endian::native == std::endian::little,
              "frames are copied as they lie in memory");

struct MessageHead {
  std::uint32_t magic;
  std::uint32_t frames;
};
static_assert(sizeof(MessageHead) == 8);

struct RequestHeader {
  std::uint64_t id;
  std::array<std::uint8_t, 16> disk;
  std::uint64_t epoch;
  std::uint64_t session;
  std::uint64_t sequence;
  std::uint64_t generation;
  std::uint64_t block;
  std::uint64_t offset_bytes;
  std::uint64_t missing_mask;
  std::uint32_t length_bytes;
  std::uint32_t payload_bytes;
  std::uint8_t op;
  std::array<std::uint8_t, 7> zero;
};
static_assert(sizeof(RequestHeader) == 96 &&
              std::has_unique_object_representations_v<RequestHeader>);

struct ReplyHeader {
  std::uint64_t id;
  std::uint32_t payload_bytes;
  std::uint16_t what_bytes;
  std::uint8_t status;
  std::uint8_t zero;
};
static_assert(sizeof(ReplyHeader) == 16 && std::has_unique_object_representations_v<ReplyHeader>);

// "UKQ1" and "UKA1": question and answer, version 1.
constexpr std::uint32_t request_magic = 0x3151'4B55;
constexpr std::uint32_t reply_magic = 0x3141'4B55;

std::size_t what_bytes(const IoReply& reply) {
  return reply.ok ? 0 : std::min(reply.what.size(), limits::frame_what_bytes_max);
}

std::size_t wire_bytes(const RequestFrame& frame) {
  return sizeof(RequestHeader) + frame.request.data.size();
}
std::size_t wire_bytes(const ReplyFrame& frame) {
  return sizeof(ReplyHeader) + what_bytes(frame.reply) +
         (frame.reply.ok ? frame.reply.data.size() : 0);
}

template <class Frame>
std::size_t batch_length_of(std::span<const Frame> queue) {
  std::size_t bytes = sizeof(MessageHead);
  std::size_t count = 0;
  for (const Frame& frame : queue.first(std::min(queue.size(), limits::batch_frames_max))) {
    bytes += wire_bytes(frame);
    if (count > 0 && bytes > limits::batch_bytes_max) break;
    ++count;
  }
  return count;
}

RequestHeader header_of(const RequestFrame& frame) {
  const IoRequest& request = frame.request;
  RequestHeader header{};
  header.id = frame.id;
  header.disk = request.disk.bytes();
  header.epoch = raw(request.epoch);
  header.session = raw(request.session);
  header.sequence = raw(request.sequence);
  header.generation = raw(request.generation);
  header.block = raw(request.block);
  header.offset_bytes = request.offset_bytes;
  header.missing_mask = request.missing_mask;
  header.length_bytes = request.length_bytes;
  header.payload_bytes = static_cast<std::uint32_t>(request.data.size());
  header.op = static_cast<std::uint8_t>(request.op);
  return header;
}

ReplyHeader header_of(const ReplyFrame& frame) {
  const IoReply& reply = frame.reply;
  ReplyHeader header{};
  header.id = frame.id;
  header.status = reply.ok ? wire_ok : wire_status(reply.code);
  header.payload_bytes = reply.ok ? static_cast<std::uint32_t>(reply.data.size()) : 0;
  header.what_bytes = static_cast<std::uint16_t>(what_bytes(reply));
  return header;
}

void append_payload(Payload& out, const RequestFrame& frame) { out.append(frame.request.data); }
void append_payload(Payload& out, const ReplyFrame& frame) {
  if (frame.reply.ok) {
    out.append(frame.reply.data);
  } else {
    out.append(Bytes::copy_of(frame.reply.what).part(0, what_bytes(frame.reply)));
  }
}

template <class Header, class Frame>
Payload encode(std::uint32_t magic, std::span<const Frame> frames) {
  assert(!frames.empty() && frames.size() <= limits::batch_frames_max);
  const std::size_t size = sizeof(MessageHead) + frames.size() * sizeof(Header);
  std::shared_ptr<std::byte[]> block(new std::byte[size]);
  const MessageHead head{magic, static_cast<std::uint32_t>(frames.size())};
  std::memcpy(block.get(), &head, sizeof head);
  std::byte* at = block.get() + sizeof head;
  for (const Frame& frame : frames) {
    const Header header = header_of(frame);
    std::memcpy(at, &header, sizeof header);
    at += sizeof header;
  }
  const std::span<const std::byte> view(block.get(), size);
  Payload out(Bytes(std::move(block), view));
  for (const Frame& frame : frames) append_payload(out, frame);
  return out;
}

/// Walks through a message that lies in several pieces of memory. The caller knows how many bytes
/// there are and never asks for more.
class Cursor {
 public:
  explicit Cursor(const Payload& message) : pieces_(message.pieces()), left_(message.size()) {}

  std::size_t left() const { return left_; }

  template <class T>
  T take() {
    static_assert(std::is_trivially_copyable_v<T>);
    T value;
    auto* out = reinterpret_cast<std::byte*>(&value);
    walk(sizeof value, [&](const Bytes& piece, std::size_t offset, std::size_t length) {
      std::memcpy(out, piece.data() + offset, length);
      out += length;
    });
    return value;
  }

  Payload take(std::size_t length_bytes) {
    Payload out;
    walk(length_bytes, [&](const Bytes& piece, std::size_t offset, std::size_t length) {
      out.append(piece.part(offset, length));
    });
    return out;
  }

 private:
  template <class Visit>
  void walk(std::size_t bytes, Visit visit) {
    assert(bytes <= left_);
    left_ -= bytes;
    while (bytes > 0) {
      const Bytes& piece = pieces_[piece_];
      const std::size_t length = std::min(bytes, piece.size() - offset_);
      visit(piece, offset_, length);
      bytes -= length;
      offset_ += length;
      if (offset_ == piece.size()) {
        ++piece_;
        offset_ = 0;
      }
    }
  }

  const std::vector<Bytes>& pieces_;
  std::size_t left_;
  std::size_t piece_ = 0;
  std::size_t offset_ = 0;
};

Error malformed(std::string_view why) {
  return Error{Code::invalid, fmt::format("malformed message: {}", why)};
}

std::uint64_t bytes_behind(const RequestHeader& header) { return header.payload_bytes; }
std::uint64_t bytes_behind(const ReplyHeader& header) {
  return std::uint64_t{header.what_bytes} + header.payload_bytes;
}

/// Reads head and headers, and makes sure that exactly the payloads they announce follow.
template <class Header>
Result<std::vector<Header>> take_headers(Cursor& cursor, std::uint32_t magic) {
  const std::size_t size = cursor.left();
  if (size < sizeof(MessageHead)) return malformed("shorter than its head");
  const auto head = cursor.take<MessageHead>();
  if (head.magic != magic) return malformed("wrong magic or version");
  if (head.frames == 0 || head.frames > limits::batch_frames_max) {
    return malformed(fmt::format("{} frames", head.frames));
  }
  if (head.frames > 1 && size > limits::batch_bytes_max) return malformed("batch too large");
  if (cursor.left() < head.frames * sizeof(Header)) return malformed("headers cut off");
  std::vector<Header> headers;
  headers.reserve(head.frames);
  std::uint64_t payload_bytes = 0;  // at most 64 times 4 GiB: cannot overflow
  for (std::uint32_t i = 0; i < head.frames; ++i) {
    headers.push_back(cursor.take<Header>());
    payload_bytes += bytes_behind(headers.back());
  }
  if (payload_bytes != cursor.left()) {
    return malformed(
        fmt::format("{} payload bytes announced, {} there", payload_bytes, cursor.left()));
  }
  return headers;
}

Result<> check(const RequestHeader& header) {
  if (header.op < static_cast<std::uint8_t>(IoOp::read) ||
      header.op > static_cast<std::uint8_t>(IoOp::read_packed)) {
    return malformed(fmt::format("unknown operation {}", header.op));
  }
  if (header.zero != decltype(header.zero){}) return malformed("reserved bytes are not zero");
  const auto op = static_cast<IoOp>(header.op);
  const std::uint32_t payload_wanted = op == IoOp::write ? header.length_bytes : 0;
  if (header.payload_bytes != payload_wanted) {
    return malformed(
        fmt::format("operation {} with {} payload bytes", header.op, header.payload_bytes));
  }
  const bool moves_data =
      op == IoOp::read || op == IoOp::write || op == IoOp::read_disk || op == IoOp::read_packed;
  if (moves_data && header.length_bytes > limits::frame_bytes_max) {
    return malformed(fmt::format("length of {} bytes", header.length_bytes));
  }
  return {};
}

Result<> check(const ReplyHeader& header) {
  if (header.zero != 0) return malformed("reserved byte is not zero");
  if (header.payload_bytes > limits::frame_bytes_max) {
    return malformed(fmt::format("reply of {} bytes", header.payload_bytes));
  }
  if (header.what_bytes > limits::frame_what_bytes_max) return malformed("text too long");
  if (header.status == wire_ok) {
    if (header.what_bytes != 0) return malformed("text in a good reply");
    return {};
  }
  if (!code_from_wire(header.status)) {
    return malformed(fmt::format("unknown status {}", header.status));
  }
  if (header.payload_bytes != 0) return malformed("payload in a failed reply");
  return {};
}

RequestFrame frame_of(const RequestHeader& header, Cursor& cursor) {
  RequestFrame frame;
  frame.id = header.id;
  frame.request.op = static_cast<IoOp>(header.op);
  frame.request.disk = DiskId(header.disk);
  frame.request.epoch = Epoch{header.epoch};
  frame.request.session = Session{header.session};
  frame.request.sequence = Sequence{header.sequence};
  frame.request.generation = Generation{header.generation};
  frame.request.block = BlockIndex{header.block};
  frame.request.offset_bytes = header.offset_bytes;
  frame.request.length_bytes = header.length_bytes;
  frame.request.missing_mask = header.missing_mask;
  frame.request.data = cursor.take(header.payload_bytes);
  return frame;
}

ReplyFrame frame_of(const ReplyHeader& header, Cursor& cursor) {
  ReplyFrame frame;
  frame.id = header.id;
  frame.reply.ok = header.status == wire_ok;
  if (!frame.reply.ok) {
    frame.reply.code = *code_from_wire(header.status);
    frame.reply.what = cursor.take(header.what_bytes).to_string();
  }
  frame.reply.data = cursor.take(header.payload_bytes);
  return frame;
}

template <class Header, class Frame>
Result<std::vector<Frame>> decode(const Payload& message, std::uint32_t magic) {
  Cursor cursor(message);
  auto headers = take_headers<Header>(cursor, magic);
  if (!headers) return headers.error();
  std::vector<Frame> frames;
  frames.reserve(headers->size());
  for (const Header& header : *headers) {
    if (auto good = check(header); !good) return good.error();
    frames.push_back(frame_of(header, cursor));
  }
  return frames;
}

}  // namespace

std::size_t batch_length(std::span<const RequestFrame> queue) { return batch_length_of(queue); }
std::size_t batch_length(std::span<const ReplyFrame> queue) { return batch_length_of(queue); }

Payload encode_requests(std::span<const RequestFrame> frames) {
  return encode<RequestHeader>(request_magic, frames);
}

Payload encode_replies(std::span<const ReplyFrame> frames) {
  return encode<ReplyHeader>(reply_magic, frames);
}

Result<std::vector<RequestFrame>> decode_requests(const Payload& message) {
  return decode<RequestHeader, RequestFrame>(message, request_magic);
}

Result<std::vector<ReplyFrame>> decode_replies(const Payload& message) {
  return decode<ReplyHeader, ReplyFrame>(message, reply_magic);
}

}  // namespace ukai
