// SPDX-License-Identifier: BSD-2-Clause
#include "ukai/bytes.h"

#include <algorithm>
#include <array>
#include <cassert>
#include <cstring>

namespace ukai {

Bytes Bytes::copy_of(std::span<const std::byte> data) {
  if (data.empty()) return {};
  auto memory = std::make_shared_for_overwrite<std::byte[]>(data.size());
  std::memcpy(memory.get(), data.data(), data.size());
  std::span<const std::byte> view(memory.get(), data.size());
  return Bytes(std::move(memory), view);
}

Bytes Bytes::copy_of(std::string_view text) {
  return copy_of(std::as_bytes(std::span(text.data(), text.size())));
}

Payload Payload::part(std::size_t offset, std::size_t length) const {
  assert(offset + length <= size_);
  Payload out;
  for (const Bytes& piece : pieces_) {
    if (length == 0) break;
    if (offset >= piece.size()) {
      offset -= piece.size();
      continue;
    }
    const std::size_t take = std::min(length, piece.size() - offset);
    out.append(piece.part(offset, take));
    offset = 0;
    length -= take;
  }
  return out;
}

void Payload::copy_to(std::span<std::byte> out) const {
  assert(out.size() >= size_);
  std::byte* to = out.data();
  for (const Bytes& piece : pieces_) {
    std::memcpy(to, piece.data(), piece.size());
    to += piece.size();
  }
}

std::string Payload::to_string() const {
  std::string out(size_, '\0');
  copy_to(std::as_writable_bytes(std::span(out.data(), out.size())));
  return out;
}

Payload Payload::zeros(std::size_t length) {
  static const std::array<std::byte, 64U << 10> page{};
  Payload out;
  while (length > 0) {
    const std::size_t take = std::min(length, page.size());
    out.append(Bytes(nullptr, std::span(page.data(), take)));
    length -= take;
  }
  return out;
}

}  // namespace ukai
