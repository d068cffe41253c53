// SPDX-License-Identifier: BSD-2-Clause
#include "store/block_trailer.h"

#include <unistd.h>
#include <xxhash.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstring>
#include <string>
#include <utility>

#include "store/posix_file.h"

namespace ukai {
namespace {

constexpr char magic[9] = "UKAIBLK1";
constexpr std::size_t disk_at = 16;
constexpr std::size_t block_at = 32;
constexpr std::size_t generation_at = 40;

void put(std::string& out, std::uint64_t value, int bytes) {
  for (int i = 0; i < bytes; ++i) out.push_back(static_cast<char>(value >> (8 * i)));
}

/// The bytes read; fewer than asked for only at the file's end.
Result<std::size_t> read_at(int fd, std::byte* to, std::size_t length, std::uint64_t offset,
                            const std::string& path) {
  std::size_t done = 0;
  while (done < length) {
    const ssize_t got = retry(
        [&] { return ::pread(fd, to + done, length - done, static_cast<off_t>(offset + done)); });
    if (got < 0) return posix_error(errno, "cannot read " + path);
    if (got == 0) break;
    done += static_cast<std::size_t>(got);
  }
  return done;
}

Result<> write_at(int fd, const void* from, std::size_t length, std::uint64_t offset,
                  const std::string& path) {
  const auto* bytes = static_cast<const char*>(from);
  std::size_t done = 0;
  while (done < length) {
    const ssize_t put = retry([&] {
      return ::pwrite(fd, bytes + done, length - done, static_cast<off_t>(offset + done));
    });
    if (put <= 0) return posix_error(put < 0 ? errno : EIO, "cannot write " + path);
    done += static_cast<std::size_t>(put);
  }
  return {};
}

}  // namespace

BlockTrailer::BlockTrailer(const BlockKey& key, std::uint32_t block_size_bytes, std::string path,
                           std::vector<DiskId> origins)
    : key_(key),
      path_(std::move(path)),
      origins_(std::move(origins)),
      block_size_bytes_(block_size_bytes),
      units_(block_size_bytes / BlockStore::unit_bytes),
      summer_(key),
      sums_(std::make_unique<std::atomic<UnitSum>[]>(units_)) {}

std::uint64_t BlockTrailer::file_bytes() const {
  return std::uint64_t{block_size_bytes_} + header_bytes + units_ * sizeof(UnitSum);
}

std::string BlockTrailer::header() const {
  std::string out(magic, 8);
  put(out, block_size_bytes_, 4);
  put(out, BlockStore::unit_bytes, 4);
  out.append(reinterpret_cast<const char*>(key_.disk.bytes().data()), 16);
  put(out, raw(key_.block), 8);
  put(out, raw(key_.generation), 8);
  put(out, 0, 8);
  put(out, XXH3_64bits(out.data(), out.size()), 8);
  return out;
}

/// Only before anything was summed. False: it is no header that may stand here.
bool BlockTrailer::adopt_header(const std::string& found) {
  if (found == header()) return true;
  const auto number = [&](std::size_t at) {
    std::uint64_t value = 0;
    std::memcpy(&value, found.data() + at, sizeof value);
    return value;
  };
  std::array<std::uint8_t, 16> id;
  std::memcpy(id.data(), found.data() + disk_at, id.size());
  const BlockKey said{DiskId(id), BlockIndex{number(block_at)}, Generation{number(generation_at)}};
  const bool own = said.disk == key_.disk && said.generation < key_.generation;
  const bool origin = std::find(origins_.begin(), origins_.end(), said.disk) != origins_.end();
  if (said.block != key_.block || (!own && !origin)) return false;
  const BlockKey before = std::exchange(key_, said);
  if (found != header()) {  // its own checksum, magic or sizes do not fit
    key_ = before;
    return false;
  }
  summer_ = UnitSummer(key_);
  return true;
}

Result<bool> BlockTrailer::header_stands(int fd) const {
  std::array<std::byte, header_bytes> found;
  auto got = read_at(fd, found.data(), found.size(), block_size_bytes_, path_);
  if (!got.ok()) return got.error();
  return *got == header_bytes && std::memcmp(found.data(), header().data(), header_bytes) == 0;
}

Result<> BlockTrailer::load(int fd) {
  std::string head(header_bytes, '\0');
  auto head_got =
      read_at(fd, reinterpret_cast<std::byte*>(head.data()), head.size(), block_size_bytes_, path_);
  if (!head_got.ok()) return head_got.error();
  const bool stands = *head_got == header_bytes && adopt_header(head);
  std::vector<UnitSum> found(units_);
  auto got = read_at(fd, reinterpret_cast<std::byte*>(found.data()), units_ * sizeof(UnitSum),
                     std::uint64_t{block_size_bytes_} + header_bytes, path_);
  if (!got.ok()) return got.error();
  if (!stands || *got != units_ * sizeof(UnitSum)) {
    lose();
    return {};
  }
  for (std::uint32_t i = 0; i < units_; ++i) set(i, found[i]);
  whole_.store(true, std::memory_order_release);
  return {};
}

Result<> BlockTrailer::create(int fd) {
  for (std::uint32_t i = 0; i < units_; ++i) set(i, sum_of_nothing);
  return store_whole(fd);
}

void BlockTrailer::lose() {
  for (std::uint32_t i = 0; i < units_; ++i) set(i, sum_of_damage);
  whole_.store(false, std::memory_order_release);
}

Result<> BlockTrailer::store_whole(int fd) {
  std::string bytes = header();
  // x86-64 and arm64 are little endian, as the format is.
  for (std::uint32_t i = 0; i < units_; ++i) put(bytes, sum(i), sizeof(UnitSum));
  auto written = write_at(fd, bytes.data(), bytes.size(), block_size_bytes_, path_);
  if (written.ok()) whole_.store(true, std::memory_order_release);
  return written;
}

Result<> BlockTrailer::store(int fd, std::uint32_t first, std::uint32_t end) {
  if (!whole()) return store_whole(fd);
  const std::uint64_t at =
      std::uint64_t{block_size_bytes_} + header_bytes + first * sizeof(UnitSum);
  // The atomics are laid out as their values are.
  static_assert(sizeof(std::atomic<UnitSum>) == sizeof(UnitSum));
  static_assert(std::atomic<UnitSum>::is_always_lock_free);
  return write_at(fd, &sums_[first], (end - first) * sizeof(UnitSum), at, path_);
}

Result<std::vector<std::uint32_t>> BlockTrailer::differing(int fd, std::uint32_t first,
                                                           std::uint32_t end) {
  std::vector<std::uint32_t> out;
  auto stands = header_stands(fd);
  if (!stands.ok()) return stands.error();
  std::vector<UnitSum> found(end - first, sum_of_damage);
  auto got =
      read_at(fd, reinterpret_cast<std::byte*>(found.data()), found.size() * sizeof(UnitSum),
              std::uint64_t{block_size_bytes_} + header_bytes + first * sizeof(UnitSum), path_);
  if (!got.ok()) return got.error();
  if (!*stands) whole_.store(false, std::memory_order_release);
  for (std::uint32_t i = first; i < end; ++i) {
    if (!*stands || found[i - first] != sum(i)) out.push_back(i);
  }
  return out;
}

}  // namespace ukai
