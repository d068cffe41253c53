// SPDX-License-Identifier: BSD-2-Clause
#pragma once

#include <array>
#include <compare>
#include <cstdint>
#include <functional>
#include <string>
#include <string_view>

#include "ukai/result.h"

namespace ukai {

/// The vocabulary. One word for one thing; ids and quantities are types.

/// Identity of a disk for its whole life, across renames: 16 random bytes, never used twice.
/// Text form: 32 lower-case hex digits.
class DiskId {
 public:
  DiskId() = default;
  explicit DiskId(const std::array<std::uint8_t, 16>& bytes) : bytes_(bytes) {}
  static DiskId random();
  static Result<DiskId> parse(std::string_view hex);
  std::string to_string() const;
  const std::array<std::uint8_t, 16>& bytes() const { return bytes_; }
  auto operator<=>(const DiskId&) const = default;

 private:
  std::array<std::uint8_t, 16> bytes_{};
};

/// A string with a meaning: `Tag` keeps a node's id from being passed where a host's is meant.
template <class Tag>
class Name {
 public:
  Name() = default;
  explicit Name(std::string text) : text_(std::move(text)) {}
  const std::string& str() const { return text_; }
  bool empty() const { return text_.empty(); }
  auto operator<=>(const Name&) const = default;

 private:
  std::string text_;
};

using NodeId = Name<struct NodeTag>;    ///< a storage node: "n1"
using HostId = Name<struct HostTag>;    ///< a hypervisor host: "h1"
using DiskName = Name<struct DiskTag>;  ///< what the operator calls a disk

/// 1..128 characters of [A-Za-z0-9._-], not "." or "..", not starting with '-' or '.'.
/// (A '/' would leave the mount's folder, '@' marks snapshots.)
Result<DiskName> parse_disk_name(std::string_view text);
/// The same alphabet, 1..64 characters; `what` ("node", "host") goes into the message.
Result<std::string> parse_id(std::string_view text, std::string_view what);

enum class BlockIndex : std::uint64_t {};  ///< number of a block within its disk, from 0
enum class Epoch : std::uint64_t {};       ///< grows with each grant of a disk's lease, from 1
enum class Session : std::uint64_t {};     ///< grows with each fence by one holder on one node
enum class Sequence : std::uint64_t {};    ///< the holder's write counter within an epoch
enum class Generation : std::uint64_t {};  ///< counts a disk's snapshots, from 1

template <class Id>
constexpr auto raw(Id id) {
  return static_cast<std::underlying_type_t<Id>>(id);
}
constexpr BlockIndex next(BlockIndex block) { return BlockIndex{raw(block) + 1}; }

/// Half-open range of bytes of a disk.
struct ByteRange {
  std::uint64_t begin_bytes = 0;
  std::uint64_t end_bytes = 0;
  std::uint64_t size_bytes() const { return end_bytes - begin_bytes; }
  bool empty() const { return end_bytes <= begin_bytes; }
  bool overlaps(const ByteRange& other) const {
    return begin_bytes < other.end_bytes && other.begin_bytes < end_bytes;
  }
  auto operator<=>(const ByteRange&) const = default;
};

/// Half-open range of blocks.
struct BlockRange {
  BlockIndex begin{};
  BlockIndex end{};
  bool contains(BlockIndex block) const { return begin <= block && block < end; }
  std::uint64_t count() const { return raw(end) - raw(begin); }
};

/// A part of one block; offsets are within the block.
struct BlockPart {
  BlockIndex block{};
  std::uint32_t offset_bytes = 0;
  std::uint32_t length_bytes = 0;
};

/// One stored version of one block.
struct BlockKey {
  DiskId disk;
  BlockIndex block{};
  Generation generation{1};
  auto operator<=>(const BlockKey&) const = default;
};

/// The original's numbers.
enum class SyncStatus : std::uint8_t { in_sync = 0, syncing = 1, out_of_sync = 2 };

/// "10G", "4MiB", "4M", "512" to bytes. K, M, G, T, P (with or without "iB" / "B") are powers of
/// 1024.
Result<std::uint64_t> parse_size(std::string_view text);
/// 4194304 -> "4 MiB"; for people.
std::string format_size(std::uint64_t bytes);

}  // namespace ukai

template <class Tag>
struct std::hash<ukai::Name<Tag>> {
  std::size_t operator()(const ukai::Name<Tag>& name) const {
    return std::hash<std::string>{}(name.str());
  }
};
template <>
struct std::hash<ukai::DiskId> {
  std::size_t operator()(const ukai::DiskId& id) const {
    std::size_t value = 0;
    for (std::size_t i = 0; i < sizeof value; ++i) value = (value << 8) | id.bytes()[i];
    return value;
  }
};
