// SPDX-License-Identifier: BSD-2-Clause
#pragma once

#include <cstddef>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace ukai {

/// A read-only piece of memory and what keeps it alive (a pooled FUSE buffer, a received message, a
/// heap block). Copying copies the reference, never the bytes; the last copy may be dropped on
/// any thread. shared_ptr because the wire, every replica and the caller each need it alive for
/// a time none of them knows.
class Bytes {
 public:
  Bytes() = default;
  Bytes(std::shared_ptr<const void> owner, std::span<const std::byte> view)
      : owner_(std::move(owner)), view_(view) {}

  /// Copies `data` to the heap.
  static Bytes copy_of(std::span<const std::byte> data);
  static Bytes copy_of(std::string_view text);

  std::span<const std::byte> view() const { return view_; }
  const std::byte* data() const { return view_.data(); }
  std::size_t size() const { return view_.size(); }
  bool empty() const { return view_.empty(); }
  /// The part [offset, offset + length); shares the owner.
  Bytes part(std::size_t offset, std::size_t length) const {
    return Bytes(owner_, view_.subspan(offset, length));
  }

 private:
  std::shared_ptr<const void> owner_;
  std::span<const std::byte> view_;
};

/// Bytes that arrived or leave in several pieces; their order is their content.
class Payload {
 public:
  Payload() = default;
  explicit Payload(Bytes piece) { append(std::move(piece)); }

  void append(Bytes piece) {
    size_ += piece.size();
    if (!piece.empty()) pieces_.push_back(std::move(piece));
  }
  void append(const Payload& other) {
    for (const Bytes& piece : other.pieces_) append(piece);
  }
  std::size_t size() const { return size_; }
  bool empty() const { return size_ == 0; }
  const std::vector<Bytes>& pieces() const { return pieces_; }
  /// The part [offset, offset + length); shares the memory.
  Payload part(std::size_t offset, std::size_t length) const;
  /// Copies all to `out`, which holds at least size() bytes.
  void copy_to(std::span<std::byte> out) const;
  /// One contiguous copy.
  std::string to_string() const;
  /// `length` zero bytes that share one static page of zeros.
  static Payload zeros(std::size_t length);

 private:
  std::vector<Bytes> pieces_;
  std::size_t size_ = 0;
};

}  // namespace ukai
