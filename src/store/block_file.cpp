// SPDX-License-Identifier: BSD-2-Clause
#include "store/block_file.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/uio.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <charconv>
#include <climits>
#include <cstring>

namespace ukai {
namespace {

constexpr unsigned shard_bits = 8;  // 256 blocks a folder: its entries fit a few pages

}  // namespace

std::string OpenBlock::shard_name(BlockIndex block) {
  return fmt::format("{:06x}", raw(block) >> shard_bits);
}

std::string OpenBlock::file_name(const BlockKey& key) {
  return fmt::format("{:08x}.{}", raw(key.block), raw(key.generation));
}

std::optional<BlockKey> OpenBlock::key_of(DiskId disk, const std::string& name) {
  const char* const end = name.data() + name.size();
  std::uint64_t block = 0;
  const auto number = std::from_chars(name.data(), end, block, 16);
  if (number.ec != std::errc() || number.ptr == end || *number.ptr != '.') return std::nullopt;
  std::uint64_t generation = 0;
  const auto version = std::from_chars(number.ptr + 1, end, generation);
  if (version.ec != std::errc() || version.ptr != end) return std::nullopt;
  const BlockKey key{disk, BlockIndex{block}, Generation{generation}};
  return file_name(key) == name ? std::optional(key) : std::nullopt;
}

Result<std::optional<Payload>> BlockFileIo::read(const OpenBlock& block, Extent range,
                                                 bool ready_only) {
  const std::size_t length = range.end_bytes - range.begin_bytes;
  auto buffer = pool_->take(length);
  std::size_t done = 0;
  while (done < length) {
    iovec piece{buffer.data() + done, length - done};
    const auto offset = static_cast<off_t>(range.begin_bytes + done);
    const int flags = ready_only && !always_ready_ ? RWF_NOWAIT : 0;
    const ssize_t got = retry([&] { return ::preadv2(block.fd, &piece, 1, offset, flags); });
    if (got < 0) {
      // EOPNOTSUPP: this file system cannot tell, so the caller must be ready to wait.
      if (flags != 0 && (errno == EAGAIN || errno == EOPNOTSUPP)) return std::optional<Payload>{};
      return posix_error(errno, "cannot read " + block.path());
    }
    if (got == 0) break;  // behind the end
    done += static_cast<std::size_t>(got);
  }
  std::memset(buffer.data() + done, 0, length - done);
  return std::optional<Payload>{Payload(buffer.bytes())};
}

Result<> BlockFileIo::write(const OpenBlock& block, std::uint32_t offset_bytes,
                            const Payload& data) {
  std::vector<iovec> pieces;
  pieces.reserve(data.pieces().size());
  for (const Bytes& piece : data.pieces()) {
    // pwritev does not write through its pointers.
    pieces.push_back({const_cast<std::byte*>(piece.data()), piece.size()});
  }
  auto offset = static_cast<off_t>(offset_bytes);
  std::size_t first = 0;
  while (first < pieces.size()) {
    const int count = static_cast<int>(std::min<std::size_t>(pieces.size() - first, IOV_MAX));
    const ssize_t put = retry([&] { return ::pwritev(block.fd, &pieces[first], count, offset); });
    if (put <= 0) return posix_error(put < 0 ? errno : EIO, "cannot write " + block.path());
    offset += put;
    auto left = static_cast<std::size_t>(put);
    while (first < pieces.size() && left >= pieces[first].iov_len) left -= pieces[first++].iov_len;
    if (left > 0) {
      pieces[first].iov_base = static_cast<std::byte*>(pieces[first].iov_base) + left;
      pieces[first].iov_len -= left;
    }
  }
  return {};
}

Result<> BlockFileIo::zero(const OpenBlock& block, Extent range) {
  const auto length = range.end_bytes - range.begin_bytes;
  const int done = retry([&] {
    return ::fallocate(block.fd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE,
                       static_cast<off_t>(range.begin_bytes), static_cast<off_t>(length));
  });
  if (done == 0) return {};
  if (errno != EOPNOTSUPP && errno != ENOSYS)
    return posix_error(errno, "cannot zero " + block.path());
  return write(block, range.begin_bytes, Payload::zeros(length));
}

Result<std::vector<Extent>> BlockFileIo::extents(const OpenBlock& block,
                                                 std::uint32_t block_size_bytes) {
  std::vector<Extent> found;
  off_t at = 0;
  while (at < static_cast<off_t>(block_size_bytes)) {
    const off_t begin = ::lseek(block.fd, at, SEEK_DATA);
    if (begin < 0 && errno == ENXIO) break;  // holes up to the end
    if (begin < 0) return posix_error(errno, "cannot find the data of " + block.path());
    const off_t end = ::lseek(block.fd, begin, SEEK_HOLE);
    if (end < 0) return posix_error(errno, "cannot find the holes of " + block.path());
    if (begin >= static_cast<off_t>(block_size_bytes)) break;
    const off_t cut = std::min<off_t>(end, block_size_bytes);
    found.push_back({static_cast<std::uint32_t>(begin), static_cast<std::uint32_t>(cut)});
    at = end;
  }
  return found;
}

bool BlockFileIo::is_allocated(const OpenBlock& block, Extent range) {
  const off_t hole = ::lseek(block.fd, static_cast<off_t>(range.begin_bytes), SEEK_HOLE);
  return hole >= static_cast<off_t>(range.end_bytes);
}

}  // namespace ukai
