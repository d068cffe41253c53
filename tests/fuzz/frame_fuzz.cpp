// SPDX-License-Identifier: BSD-2-Clause
//
// The data stream: what does not come from encode_…() is refused, and what does is the same again.
#include <cstdint>

#include "check.h"
#include "rpc/frame.h"

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

}  // namespace
}  // namespace ukai::fuzz

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const std::string_view bytes(reinterpret_cast<const char*>(data), size);
  using namespace ukai;
  fuzz::try_message(bytes, decode_requests,
                    [](const auto& frames) { return encode_requests(frames); });
  fuzz::try_message(bytes, decode_replies,
                    [](const auto& frames) { return encode_replies(frames); });
  return 0;
}
