// SPDX-License-Identifier: BSD-2-Clause
//
// The data stream: what does not come from encode_…() is refused, and what does is the same again;
// however the network cuts it, the records are the same.
#include <algorithm>
#include <cstdint>
#include <cstring>
#include <string>
#include <vector>

#include "check.h"
#include "rpc/frame.h"
#include "rpc/greeting.h"
#include "rpc/inbox.h"

namespace ukai::fuzz {
namespace {

/// The same bytes, in pieces of `piece_bytes`, as a network delivers them.
Payload in_pieces(std::string_view bytes, std::size_t piece_bytes) {
  Payload out;
  for (std::size_t at = 0; at < bytes.size(); at += piece_bytes) {
    out.append(Bytes::copy_of(bytes.substr(at, piece_bytes)));
  }
  return out;
}

template <class Decode, class Encode>
void try_message(std::string_view bytes, Decode decode, Encode encode) {
  const auto whole = decode(in_pieces(bytes, bytes.size() + 1));
  const auto pieces = decode(in_pieces(bytes, 7));
  check(whole.ok() == pieces.ok(), "how a message is cut means nothing");
  if (!whole.ok()) return check_line(whole.error().what);
  check(encode(*whole).to_string() == bytes, "decode and encode give the same bytes");
  check(encode(*pieces).to_string() == bytes, "decode and encode give the same bytes");
}

void try_greeting(std::string_view bytes) {
  const Payload record = in_pieces(bytes, bytes.size() + 1);
  if (const auto identity = decode_hello(record); identity.ok()) {
    check(encode_hello(*identity).to_string() == bytes, "decode and encode give the same bytes");
  } else {
    check_line(identity.error().what);
  }
  if (const auto why = decode_farewell(record)) {
    check(encode_farewell(*why).to_string() == bytes, "decode and encode give the same bytes");
  }
}

constexpr std::size_t record_bytes_max = 1000;

/// All records of a stream that comes `piece_bytes` at a time; the last is what ended it.
std::vector<std::string> records_of(std::string_view bytes, std::size_t piece_bytes) {
  Inbox inbox(std::make_shared<BufferPool>(1U << 20), record_bytes_max);
  std::vector<std::string> out;
  while (!bytes.empty()) {
    const std::span<std::byte> space = inbox.space();
    const std::size_t length = std::min({space.size(), piece_bytes, bytes.size()});
    std::memcpy(space.data(), bytes.data(), length);
    bytes.remove_prefix(length);
    inbox.received(length);
    for (;;) {
      auto record = inbox.next();
      if (!record.ok()) {
        out.push_back(record.error().what);
        return out;
      }
      if (!record->has_value()) break;
      out.push_back((*record)->to_string());
    }
  }
  return out;
}

}  // namespace
}  // namespace ukai::fuzz

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const std::string_view bytes(reinterpret_cast<const char*>(data), size);
  using namespace ukai;
  fuzz::try_message(bytes, decode_requests,
                    [](const auto& frames) { return encode_requests(frames); });
  fuzz::try_message(bytes, decode_replies,
                    [](const auto& frames) { return encode_replies(frames); });
  fuzz::try_greeting(bytes);
  fuzz::check(fuzz::records_of(bytes, size + 1) == fuzz::records_of(bytes, 3),
              "how a stream is cut means nothing");
  return 0;
}
