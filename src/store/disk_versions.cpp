// SPDX-License-Identifier: BSD-2-Clause
//
// Versions of a block side by side in a disk's folder: which there are, and how one begins as
// another.
#include <fcntl.h>
#include <linux/fs.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>

#include "store/disk_folder.h"

namespace ukai {
namespace {

/// A version that is being made; one that a crash has left is nobody's.
constexpr std::string_view unfinished_suffix = ".new";

/// Copies [begin, end) between two files, without what are holes.
Result<> copy_data(int from, int to, std::uint64_t begin, std::uint64_t end,
                   const std::string& path) {
  auto at = static_cast<off_t>(begin);
  const auto stop = static_cast<off_t>(end);
  while (at < stop) {
    const off_t data = ::lseek(from, at, SEEK_DATA);
    if (data < 0 && errno == ENXIO) return {};
    if (data < 0) return posix_error(errno, "cannot find the data of " + path);
    const off_t hole = ::lseek(from, data, SEEK_HOLE);
    if (hole < 0) return posix_error(errno, "cannot find the holes of " + path);
    at = std::min(hole, stop);
    off_t source = data;
    off_t target = data;
    while (source < at) {
      const auto length = static_cast<std::size_t>(at - source);
      const ssize_t copied =
          retry([&] { return ::copy_file_range(from, &source, to, &target, length, 0); });
      if (copied <= 0) return posix_error(copied < 0 ? errno : EIO, "cannot copy " + path);
    }
  }
  return {};
}

}  // namespace

void DiskFolder::index(const BlockKey& key, bool there) {
  const std::lock_guard lock(index_mutex_);
  if (!indexed_shards_.contains(OpenBlock::shard_of(key.block))) return;
  auto& versions = versions_[key.block];
  std::erase(versions, key.generation);
  if (there) {
    versions.insert(std::upper_bound(versions.begin(), versions.end(), key.generation),
                    key.generation);
  } else if (versions.empty()) {
    versions_.erase(key.block);
  }
}

/// The caller holds index_mutex_.
Result<> DiskFolder::load_index(std::uint64_t shard) {
  const std::string name = OpenBlock::shard_name(BlockIndex{shard * 256});
  auto folder = open_folder(folder_, name);
  if (!folder.ok() && !folder.failed_with(Code::not_found)) return folder.error();
  if (folder.ok()) {
    auto files = list_names(*folder);
    if (!files.ok()) return files.error();
    for (std::string& file : *files) {
      if (file.ends_with(unfinished_suffix)) ::unlinkat(folder->fd.get(), file.c_str(), 0);
      if (file.ends_with(OpenBlock::mark_suffix))
        file.resize(file.size() - OpenBlock::mark_suffix.size());
      const auto key = OpenBlock::key_of(id_, file);
      if (!key || OpenBlock::shard_of(key->block) != shard) continue;
      auto& versions = versions_[key->block];
      const auto at = std::lower_bound(versions.begin(), versions.end(), key->generation);
      if (at == versions.end() || *at != key->generation) versions.insert(at, key->generation);
    }
  }
  indexed_shards_.insert(shard);
  return {};
}

Result<std::optional<std::vector<Generation>>> DiskFolder::versions(BlockIndex block,
                                                                    bool ready_only) {
  using Found = std::optional<std::vector<Generation>>;
  const std::lock_guard lock(index_mutex_);
  const std::uint64_t shard = OpenBlock::shard_of(block);
  if (!indexed_shards_.contains(shard)) {
    if (ready_only) return Found{};
    auto loaded = load_index(shard);
    if (!loaded.ok()) return loaded.error();
  }
  const auto at = versions_.find(block);
  return at == versions_.end() ? Found{std::vector<Generation>()} : Found{at->second};
}

/// Shared with the base where the file system can; else without `except`, which is written anyway.
Result<UniqueFd> DiskFolder::copy_of(const BlockFile& base, const std::string& name,
                                     Extent except) const {
  UniqueFd fd(retry([&] {
    return ::openat(folder_.fd.get(), name.c_str(), O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
  }));
  const std::string path = folder_.path_of(name);
  if (!fd.valid()) return posix_error(errno, "cannot create " + path);
  if (::ioctl(fd.get(), FICLONE, base.fd.get()) == 0) return fd;
  const std::uint64_t size = base.trailer->file_bytes();
  if (::ftruncate(fd.get(), static_cast<off_t>(size)) != 0)
    return posix_error(errno, "cannot size " + path);
  auto copied = copy_data(base.fd.get(), fd.get(), 0, except.begin_bytes, path);
  if (copied.ok()) copied = copy_data(base.fd.get(), fd.get(), except.end_bytes, size, path);
  if (!copied.ok()) return copied.error();
  return fd;
}

Result<> DiskFolder::fork(BlockFile& file, const BlockFile& base, BlockFileIo& io,
                          std::uint32_t offset_bytes, const Payload& data) {
  // Whoever reads the folder for the first time clears away what is being made.
  auto indexed = versions(file.key.block, false);
  if (!indexed.ok()) return indexed.error();
  auto opened = open(file, false);
  if (!opened.ok()) return opened;
  if (file.fd.valid()) return Error{Code::exists, path_of(file.key) + " is there already"};
  if (!base.fd.valid()) return Error{Code::io, path_of(base.key) + " cannot be opened"};
  const std::string name = OpenBlock::name(file.key);
  const std::string unfinished = std::string(name).append(unfinished_suffix);
  constexpr std::uint32_t unit = BlockStore::unit_bytes;
  const std::uint32_t end = offset_bytes + static_cast<std::uint32_t>(data.size());
  // Units that the data cover whole; those at the edges need the base's content.
  const std::uint32_t first = (offset_bytes + unit - 1) / unit * unit;
  const std::uint32_t last = std::max(first, end / unit * unit);
  auto trailer =
      std::make_unique<BlockTrailer>(file.key, block_size_bytes_, path_of(file.key), origins_);
  // A change of the base is part of this, or comes when this is there for whoever looks next.
  const std::unique_lock still(base.trailer->mutex);
  const auto make = [&]() -> Result<UniqueFd> {
    auto fd = copy_of(base, unfinished, {first, last});
    if (!fd.ok()) return fd;
    auto done = trailer->load(fd->get());
    if (done.ok() && !data.empty())
      done = io.write({fd->get(), *trailer, folder_.path, file.key}, offset_bytes, data);
    if (!done.ok()) return done.error();
    // Before it hides the base: what the base had was durable.
    if (::fdatasync(fd->get()) != 0) return posix_error(errno, "cannot sync " + path_of(file.key));
    if (::renameat(folder_.fd.get(), unfinished.c_str(), folder_.fd.get(), name.c_str()) != 0)
      return posix_error(errno, "cannot make " + path_of(file.key));
    return fd;
  };
  auto made = make();
  if (!made.ok()) {
    ::unlinkat(folder_.fd.get(), unfinished.c_str(), 0);
    return made.error();
  }
  file.fd = std::move(*made);
  file.trailer = std::move(trailer);
  file.presence = BlockFile::Presence::present;
  file.shared = false;
  index(file.key, true);
  {
    const std::lock_guard lock(unsynced_mutex_);
    unsynced_shards_.insert(OpenBlock::shard_name(file.key.block));
  }
  mark_unsynced(file);
  return mark(folder_, file.key);
}

Result<> DiskFolder::unshare(BlockFile& file) {
  struct stat status {};
  if (::fstat(file.fd.get(), &status) != 0)
    return posix_error(errno, "cannot look at " + path_of(file.key));
  if (status.st_nlink > 1) {
    const std::string name = OpenBlock::name(file.key);
    const std::string unfinished = std::string(name).append(unfinished_suffix);
    auto fd = copy_of(file, unfinished, {});
    if (!fd.ok()) return fd.error();
    const bool made =
        ::fdatasync(fd->get()) == 0 &&
        ::renameat(folder_.fd.get(), unfinished.c_str(), folder_.fd.get(), name.c_str()) == 0;
    if (!made) {
      const int why = errno;
      ::unlinkat(folder_.fd.get(), unfinished.c_str(), 0);
      return posix_error(why, "cannot copy " + path_of(file.key));
    }
    file.fd = std::move(*fd);
    ++changes_;
    const std::lock_guard lock(unsynced_mutex_);
    unsynced_shards_.insert(OpenBlock::shard_name(file.key.block));
  }
  file.shared = false;
  return {};
}

Result<> DiskFolder::link_into(const Folder& clone, const BlockKey& frozen) {
  BlockKey made = frozen;
  made.generation = Generation{1};
  const std::string from = OpenBlock::name(frozen);
  const std::string to = OpenBlock::name(made);
  if (::linkat(folder_.fd.get(), from.c_str(), clone.fd.get(), to.c_str(), 0) != 0 &&
      errno != ENOENT)  // damaged: it is marked, and missing in the clone as well
    return posix_error(errno, "cannot link " + clone.path_of(to));
  ++changes_;  // what is shared is counted in another way
  return mark(clone, made);
}

}  // namespace ukai
