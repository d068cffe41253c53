// SPDX-License-Identifier: BSD-2-Clause
#include "rpc/byte_buffers.h"

#include <memory>
#include <vector>

namespace ukai {
namespace {

// Below this, copying is cheaper than the reference count on the side that a borrowed slice needs.
constexpr std::size_t copy_below_bytes = 512;

grpc::Slice to_slice(const Bytes& piece) {
  if (piece.size() < copy_below_bytes) return grpc::Slice(piece.data(), piece.size());
  auto keep = std::make_unique<Bytes>(piece);
  auto* memory = const_cast<std::byte*>(piece.data());  // gRPC only reads what it sends
  auto drop = [](void* kept) { std::unique_ptr<Bytes>(static_cast<Bytes*>(kept)).reset(); };
  return grpc::Slice(memory, piece.size(), drop, keep.release());
}

std::span<const std::byte> view_of(const grpc::Slice& slice) {
  return std::as_bytes(std::span(slice.begin(), slice.size()));
}

}  // namespace

grpc::ByteBuffer to_byte_buffer(const Payload& payload) {
  std::vector<grpc::Slice> slices;
  slices.reserve(payload.pieces().size());
  for (const Bytes& piece : payload.pieces()) slices.push_back(to_slice(piece));
  return grpc::ByteBuffer(slices.data(), slices.size());
}

Payload from_byte_buffer(grpc::ByteBuffer& buffer) {
  Payload out;
  // shared_ptr: the frames of one message are dropped one by one, by different owners.
  auto slices = std::make_shared<std::vector<grpc::Slice>>();
  if (!buffer.Valid() || !buffer.Dump(slices.get()).ok()) return out;
  buffer.Clear();
  for (const grpc::Slice& slice : *slices) out.append(Bytes(slices, view_of(slice)));
  return out;
}

}  // namespace ukai
