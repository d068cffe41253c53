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
#include <mutex>
#include <shared_mutex>

namespace ukai {
namespace {

constexpr off_t fetch_bytes_max = 4 << 20;  // what comes after, the kernel has read ahead by then
constexpr unsigned shard_bits = 8;          // 256 blocks a folder: its entries fit a few pages

Extent unit_extent(std::uint32_t unit) {
  return {unit * BlockStore::unit_bytes, (unit + 1) * BlockStore::unit_bytes};
}

bool unit_fits(const OpenBlock& block, std::uint32_t unit, const std::byte* content) {
  return block.trailer.summer().fits(unit, {content, BlockStore::unit_bytes},
                                     block.trailer.sum(unit));
}

/// The first unit whose content does not fit its checksum.
std::optional<std::uint32_t> first_bad(const OpenBlock& block, Extent units,
                                       const std::byte* content) {
  for (std::uint32_t at = units.begin_bytes; at < units.end_bytes; at += BlockStore::unit_bytes) {
    const std::uint32_t unit = at / BlockStore::unit_bytes;
    if (!unit_fits(block, unit, content + (at - units.begin_bytes))) return unit;
  }
  return std::nullopt;
}

Error does_not_fit(const OpenBlock& block, std::uint32_t unit) {
  const Extent at = unit_extent(unit);
  return {Code::corrupt, fmt::format("{}: bytes {}..{} do not fit their checksum", block.path(),
                                     at.begin_bytes, at.end_bytes)};
}

/// `written_bytes` grows as far as it comes, whether it fails or not.
Result<> put_piece(const OpenBlock& block, std::size_t offset_bytes, const Payload& data,
                   std::size_t& written_bytes) {
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
    written_bytes += static_cast<std::size_t>(put);
    auto left = static_cast<std::size_t>(put);
    while (first < pieces.size() && left >= pieces[first].iov_len) left -= pieces[first++].iov_len;
    if (left > 0) {
      pieces[first].iov_base = static_cast<std::byte*>(pieces[first].iov_base) + left;
      pieces[first].iov_len -= left;
    }
  }
  return {};
}

// Where nothing is in the page cache yet, one call makes one folio, as large as the call, and each
// later write to a part of it costs ext4 a walk over all its buffers: 4 KiB took 20 us in folios of
// 1 MiB, and takes 6 in these. Smaller ones make reads slower (docs/performance.md, "What profiles
// led to").
constexpr std::size_t folio_bytes = 256U << 10;

/// `written_bytes`: how far it came, whether it fails or not.
Result<> put_data(const OpenBlock& block, std::uint32_t offset_bytes, const Payload& data,
                  std::size_t& written_bytes) {
  const std::size_t end = offset_bytes + data.size();
  for (std::size_t at = offset_bytes; at < end;) {
    const std::size_t length = std::min(end - at, folio_bytes - at % folio_bytes);
    auto put = length == data.size()
                   ? put_piece(block, at, data, written_bytes)
                   : put_piece(block, at, data.part(at - offset_bytes, length), written_bytes);
    if (!put.ok()) return put;
    at += length;
  }
  return {};
}

}  // namespace

std::uint64_t OpenBlock::shard_of(BlockIndex block) { return raw(block) >> shard_bits; }

std::string OpenBlock::shard_name(BlockIndex block) {
  return fmt::format("{:06x}", shard_of(block));
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

/// False only when `ready_only` and not all is in the page cache.
Result<bool> BlockFileIo::fill(const OpenBlock& block, Extent range, std::byte* to,
                               bool ready_only) const {
  const std::size_t length = range.end_bytes - range.begin_bytes;
  std::size_t done = 0;
  while (done < length) {
    iovec piece{to + done, length - done};
    const auto offset = static_cast<off_t>(range.begin_bytes + done);
    const int flags = ready_only && !always_ready_ ? RWF_NOWAIT : 0;
    const ssize_t got = retry([&] { return ::preadv2(block.fd, &piece, 1, offset, flags); });
    if (got < 0) {
      // EOPNOTSUPP: this file system cannot tell, so the caller must be ready to wait.
      if (flags != 0 && (errno == EAGAIN || errno == EOPNOTSUPP)) return false;
      return posix_error(errno, "cannot read " + block.path());
    }
    if (got == 0) break;  // behind the end
    done += static_cast<std::size_t>(got);
  }
  std::memset(to + done, 0, length - done);
  return true;
}

Result<std::optional<Payload>> BlockFileIo::read(const OpenBlock& block, Extent range,
                                                 bool ready_only) {
  const Extent units = whole_units(range);
  const auto wanted = [&](const Payload& all) {
    return all.part(range.begin_bytes - units.begin_bytes, range.end_bytes - range.begin_bytes);
  };
  auto buffer = pool_->take(units.end_bytes - units.begin_bytes);
  auto filled = fill(block, units, buffer.data(), ready_only);
  if (!filled.ok()) return filled.error();
  if (!*filled) return std::optional<Payload>{};
  if (!first_bad(block, units, buffer.data())) {
    return std::optional<Payload>{wanted(Payload(buffer.bytes()))};
  }
  // Perhaps a write was half done: its data there, its checksum not yet.
  if (ready_only) return std::optional<Payload>{};
  const std::unique_lock alone(block.trailer.mutex);
  auto again = read_alone(block, units);
  if (!again.ok()) return again.error();
  return std::optional<Payload>{wanted(*again)};
}

void BlockFileIo::will_read(const OpenBlock& block) {
  ::posix_fadvise(block.fd, 0, fetch_bytes_max, POSIX_FADV_WILLNEED);
}

/// The caller has kept writes out.
Result<Payload> BlockFileIo::read_alone(const OpenBlock& block, Extent units) {
  auto buffer = pool_->take(units.end_bytes - units.begin_bytes);
  auto filled = fill(block, units, buffer.data(), false);
  if (!filled.ok()) return filled.error();
  if (const auto bad = first_bad(block, units, buffer.data())) return does_not_fit(block, *bad);
  return Payload(buffer.bytes());
}

Result<> BlockFileIo::write(const OpenBlock& block, std::uint32_t offset_bytes,
                            const Payload& data) {
  const Extent range{offset_bytes, offset_bytes + static_cast<std::uint32_t>(data.size())};
  const Extent units = whole_units(range);
  if (units == range) {
    const std::shared_lock side_by_side(block.trailer.mutex);
    if (block.trailer.whole()) return write_units(block, offset_bytes, data);
  }
  const std::unique_lock alone(block.trailer.mutex);
  if (units == range) return write_units(block, offset_bytes, data);
  // The rest of the first and the last unit comes from the file, and must fit: damage would
  // otherwise get a checksum that calls it good.
  auto before = edge(block, {units.begin_bytes, range.begin_bytes});
  if (!before.ok()) return before.error();
  auto after = edge(block, {range.end_bytes, units.end_bytes});
  if (!after.ok()) return after.error();
  Payload whole = std::move(*before);
  whole.append(data);
  whole.append(*after);
  return write_units(block, units.begin_bytes, whole);
}

/// A part of one unit, as it stands; empty for an empty part.
Result<Payload> BlockFileIo::edge(const OpenBlock& block, Extent part) {
  if (part.begin_bytes == part.end_bytes) return Payload();
  const Extent unit = whole_units(part);
  auto content = read_alone(block, unit);
  if (!content.ok()) return content.error();
  return content->part(part.begin_bytes - unit.begin_bytes, part.end_bytes - part.begin_bytes);
}

/// First the data, then its checksums: two system calls.
Result<> BlockFileIo::write_units(const OpenBlock& block, std::uint32_t offset_bytes,
                                  const Payload& data) {
  const std::uint32_t first = offset_bytes / BlockStore::unit_bytes;
  const auto sums = block.trailer.summer().of_all(first, data);
  std::size_t written_bytes = 0;
  auto written = put_data(block, offset_bytes, data, written_bytes);
  const auto units = static_cast<std::uint32_t>(written_bytes / BlockStore::unit_bytes);
  for (std::uint32_t i = 0; i < units; ++i) block.trailer.set(first + i, sums[i]);
  if (!written.ok() && written_bytes % BlockStore::unit_bytes != 0) {
    auto mended = after_short_write(block, first + units);
    if (!mended.ok()) return mended;
  }
  if (units > 0 || !block.trailer.whole()) {
    auto stored = block.trailer.store(block.fd, first, first + units);
    if (!stored.ok()) return stored;
  }
  return written;
}

/// The unit in which a failing write stopped is a part of the old and a part of the new.
Result<> BlockFileIo::after_short_write(const OpenBlock& block, std::uint32_t unit) {
  const std::uint32_t begin = unit * BlockStore::unit_bytes;
  auto buffer = pool_->take(BlockStore::unit_bytes);
  auto filled = fill(block, {begin, begin + BlockStore::unit_bytes}, buffer.data(), false);
  if (!filled.ok()) return filled.error();
  block.trailer.set(unit, block.trailer.summer().of(unit, {buffer.data(), BlockStore::unit_bytes}));
  return block.trailer.store(block.fd, unit, unit + 1);
}

Result<> BlockFileIo::zero(const OpenBlock& block, Extent range) {
  const std::unique_lock alone(block.trailer.mutex);
  const Extent units = whole_units(range);
  Extent inner = range;
  if (range.begin_bytes != units.begin_bytes) {
    inner.begin_bytes = units.begin_bytes + BlockStore::unit_bytes;
    auto done = zero_edge(block, {range.begin_bytes, std::min(inner.begin_bytes, range.end_bytes)});
    if (!done.ok()) return done;
  }
  if (range.end_bytes != units.end_bytes && inner.begin_bytes < range.end_bytes) {
    inner.end_bytes = units.end_bytes - BlockStore::unit_bytes;
    auto done = zero_edge(block, {inner.end_bytes, range.end_bytes});
    if (!done.ok()) return done;
  }
  if (inner.begin_bytes >= inner.end_bytes) return {};
  return zero_units(block, inner);
}

/// A part of one unit becomes zeros; what is zeros already stays a hole.
Result<> BlockFileIo::zero_edge(const OpenBlock& block, Extent part) {
  const Extent unit = whole_units(part);
  auto content = read_alone(block, unit);
  if (!content.ok()) return content.error();
  if (block.trailer.sum(unit.begin_bytes / BlockStore::unit_bytes) == sum_of_nothing) return {};
  Payload changed = content->part(0, part.begin_bytes - unit.begin_bytes);
  changed.append(Payload::zeros(part.end_bytes - part.begin_bytes));
  changed.append(content->part(part.end_bytes - unit.begin_bytes, unit.end_bytes - part.end_bytes));
  return write_units(block, unit.begin_bytes, changed);
}

Result<> BlockFileIo::zero_units(const OpenBlock& block, Extent units) {
  const auto length = units.end_bytes - units.begin_bytes;
  const int done = retry([&] {
    return ::fallocate(block.fd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE,
                       static_cast<off_t>(units.begin_bytes), static_cast<off_t>(length));
  });
  if (done != 0 && errno != EOPNOTSUPP && errno != ENOSYS)
    return posix_error(errno, "cannot zero " + block.path());
  if (done != 0) {
    std::size_t written_bytes = 0;
    auto written = put_data(block, units.begin_bytes, Payload::zeros(length), written_bytes);
    if (!written.ok()) return written;
  }
  const std::uint32_t first = units.begin_bytes / BlockStore::unit_bytes;
  const std::uint32_t end = units.end_bytes / BlockStore::unit_bytes;
  for (std::uint32_t i = first; i < end; ++i) block.trailer.set(i, sum_of_nothing);
  return block.trailer.store(block.fd, first, end);
}

Result<std::vector<Extent>> BlockFileIo::extents(const OpenBlock& block,
                                                 std::uint32_t block_size_bytes) {
  // What the file system calls data, and what the checksums call data: damage may have made the
  // one or the other a hole, and must be read to be found.
  std::vector<bool> holds_data(block_size_bytes / BlockStore::unit_bytes);
  for (std::uint32_t i = 0; i < holds_data.size(); ++i)
    holds_data[i] = block.trailer.sum(i) != sum_of_nothing;
  off_t at = 0;
  while (at < static_cast<off_t>(block_size_bytes)) {
    const off_t begin = ::lseek(block.fd, at, SEEK_DATA);
    if (begin < 0 && errno == ENXIO) break;  // holes up to the end
    if (begin < 0) return posix_error(errno, "cannot find the data of " + block.path());
    const off_t end = ::lseek(block.fd, begin, SEEK_HOLE);
    if (end < 0) return posix_error(errno, "cannot find the holes of " + block.path());
    if (begin >= static_cast<off_t>(block_size_bytes)) break;
    const Extent data =
        whole_units({static_cast<std::uint32_t>(begin),
                     static_cast<std::uint32_t>(std::min<off_t>(end, block_size_bytes))});
    for (std::uint32_t i = data.begin_bytes; i < data.end_bytes; i += BlockStore::unit_bytes)
      holds_data[i / BlockStore::unit_bytes] = true;
    at = end;
  }
  std::vector<Extent> found;
  for (std::uint32_t i = 0; i < holds_data.size(); ++i)
    if (holds_data[i]) append_extent(found, unit_extent(i));
  return found;
}

/// Does all of it fit, at a look that keeps nobody out? No: perhaps, for a write may be half done.
Result<bool> BlockFileIo::seems_fine(const OpenBlock& block, Extent units, std::byte* buffer) {
  auto filled = fill(block, units, buffer, false);
  if (!filled.ok()) return filled.error();
  return !first_bad(block, units, buffer);
}

Result<std::vector<Extent>> BlockFileIo::check(const OpenBlock& block, Extent range) {
  const Extent units = whole_units(range);
  const std::uint32_t first = units.begin_bytes / BlockStore::unit_bytes;
  const std::uint32_t end = units.end_bytes / BlockStore::unit_bytes;
  auto buffer = pool_->take(units.end_bytes - units.begin_bytes);
  // From the device as far as the kernel lets itself be told; a page that is dirty stays.
  ::posix_fadvise(block.fd, units.begin_bytes, units.end_bytes - units.begin_bytes,
                  POSIX_FADV_DONTNEED);
  auto fine = seems_fine(block, units, buffer.data());
  if (!fine.ok()) return fine.error();
  const std::unique_lock alone(block.trailer.mutex);
  auto differing = block.trailer.differing(block.fd, first, end);
  if (!differing.ok()) return differing.error();
  if (*fine && differing->empty()) return std::vector<Extent>{};
  auto filled = fill(block, units, buffer.data(), false);
  if (!filled.ok()) return filled.error();
  std::vector<bool> bad(end - first);
  for (const std::uint32_t unit : *differing) bad[unit - first] = true;
  for (std::uint32_t i = 0; i < bad.size(); ++i)
    if (!unit_fits(block, first + i, buffer.data() + unit_extent(i).begin_bytes)) bad[i] = true;
  if (!differing->empty()) {
    // What fits the memory is good, and the file's checksum was the damaged one.
    auto stored = block.trailer.store(block.fd, first, end);
    if (!stored.ok()) return stored.error();
  }
  std::vector<Extent> found;
  for (std::uint32_t i = 0; i < bad.size(); ++i)
    if (bad[i]) append_extent(found, unit_extent(first + i));
  return found;
}

Result<std::uint32_t> BlockFileIo::accept(const OpenBlock& block, Extent range) {
  const Extent units = whole_units(range);
  const std::uint32_t first = units.begin_bytes / BlockStore::unit_bytes;
  const std::uint32_t end = units.end_bytes / BlockStore::unit_bytes;
  auto buffer = pool_->take(units.end_bytes - units.begin_bytes);
  auto fine = seems_fine(block, units, buffer.data());
  if (!fine.ok()) return fine.error();
  std::uint32_t accepted = 0;
  if (*fine) return accepted;
  const std::unique_lock alone(block.trailer.mutex);
  auto filled = fill(block, units, buffer.data(), false);
  if (!filled.ok()) return filled.error();
  for (std::uint32_t unit = first; unit < end; ++unit) {
    const std::byte* at = buffer.data() + unit_extent(unit - first).begin_bytes;
    if (unit_fits(block, unit, at) || block.trailer.sum(unit) == sum_of_loss) continue;
    ++accepted;
    const std::span<const std::byte> content(at, BlockStore::unit_bytes);
    block.trailer.set(
        unit, all_zero(content) ? sum_of_nothing : block.trailer.summer().of(unit, content));
  }
  if (accepted == 0) return accepted;
  auto stored = block.trailer.store(block.fd, first, end);
  if (!stored.ok()) return stored.error();
  return accepted;
}

Result<> BlockFileIo::give_up(const OpenBlock& block, Extent range) {
  const Extent units = whole_units(range);
  const std::uint32_t first = units.begin_bytes / BlockStore::unit_bytes;
  const std::uint32_t end = units.end_bytes / BlockStore::unit_bytes;
  const std::unique_lock alone(block.trailer.mutex);
  for (std::uint32_t unit = first; unit < end; ++unit) block.trailer.set(unit, sum_of_loss);
  return block.trailer.store(block.fd, first, end);
}

bool BlockFileIo::is_allocated(const OpenBlock& block, Extent range) {
  const off_t hole = ::lseek(block.fd, static_cast<off_t>(range.begin_bytes), SEEK_HOLE);
  return hole >= static_cast<off_t>(range.end_bytes);
}

}  // namespace ukai
