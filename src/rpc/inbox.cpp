// SPDX-License-Identifier: BSD-2-Clause
#include "rpc/inbox.h"

#include <fmt/format.h>

#include <algorithm>
#include <cstdint>
#include <cstring>

namespace ukai {
namespace {

using Length = std::uint32_t;
// Many small records, or the beginning of a large one, which has to be moved once.
constexpr std::size_t buffer_bytes = 128U << 10;
// Below this the rest of a buffer is not worth a system call.
constexpr std::size_t rest_bytes_min = 8U << 10;
// From here on a record is received alone, for moving what came with it costs more than a call.
constexpr std::size_t large_bytes = 32U << 10;

}  // namespace

/// The length of the record that begins at begin_, once it is known.
std::optional<std::size_t> Inbox::announced() const {
  if (filled() < sizeof(Length)) return std::nullopt;
  Length length = 0;
  std::memcpy(&length, buffer_.data() + begin_, sizeof length);
  return length;
}

void Inbox::renew(std::size_t size) {
  BufferPool::Buffer fresh = pool_->take(size);
  if (filled() > 0) std::memcpy(fresh.data(), buffer_.data() + begin_, filled());
  end_ = filled();
  begin_ = 0;
  buffer_ = std::move(fresh);
  handed_out_ = false;
}

std::span<std::byte> Inbox::space() {
  if (filled() == 0 && !handed_out_) begin_ = end_ = 0;
  // A large record tends to be followed by another one.
  const std::size_t wanted = sizeof(Length) + announced().value_or(last_large_bytes_);
  const bool fits = begin_ + wanted <= buffer_.size;
  const bool small = begin_ > 0 && buffer_.size - end_ < rest_bytes_min && wanted <= buffer_bytes;
  if (buffer_.size == 0 || !fits || small) renew(std::max(wanted, buffer_bytes));
  const std::size_t room = buffer_.size - end_;
  const bool alone = wanted >= large_bytes;
  return {buffer_.data() + end_, alone ? std::min(room, wanted - filled()) : room};
}

void Inbox::rest() {
  if (filled() > 0 || buffer_.size <= buffer_bytes) return;
  buffer_ = {};
  begin_ = end_ = 0;
  handed_out_ = false;
}

Result<std::optional<Payload>> Inbox::next() {
  const auto length = announced();
  if (!length) return std::optional<Payload>{};
  if (*length > record_bytes_max_) {
    return Error{Code::invalid, fmt::format("malformed message: {} bytes long", *length)};
  }
  if (filled() < sizeof(Length) + *length) return std::optional<Payload>{};
  Payload record(Bytes(buffer_.memory, {buffer_.data() + begin_ + sizeof(Length), *length}));
  begin_ += sizeof(Length) + *length;
  handed_out_ = handed_out_ || *length > 0;
  last_large_bytes_ = *length >= large_bytes ? *length : 0;
  return std::optional<Payload>{std::move(record)};
}

}  // namespace ukai
