// SPDX-License-Identifier: BSD-2-Clause
#include "store/disk_folder.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <vector>

namespace ukai {
namespace {

constexpr std::string_view mark_suffix = OpenBlock::mark_suffix;

bool is_shard_name(const std::string& name) {
  return name.size() >= 6 && name.find_first_not_of("0123456789abcdef") == std::string::npos;
}

/// What cannot be asked may have: whoever wants to change it finds out.
bool has_other_links(int fd) {
  struct stat status {};
  return ::fstat(fd, &status) != 0 || status.st_nlink > 1;
}

}  // namespace

std::string DiskFolder::path_of(const BlockKey& key) const {
  return folder_.path_of(OpenBlock::name(key));
}

Result<> DiskFolder::open(BlockFile& file, bool create_if_absent) {
  using Presence = BlockFile::Presence;
  if (file.presence == Presence::unknown) {
    const std::string name = OpenBlock::name(file.key);
    UniqueFd fd(
        retry([&] { return ::openat(folder_.fd.get(), name.c_str(), O_RDWR | O_CLOEXEC); }));
    if (!fd.valid() && errno != ENOENT)
      return posix_error(errno, "cannot open " + path_of(file.key));
    if (fd.valid()) {
      auto trailer =
          std::make_unique<BlockTrailer>(file.key, block_size_bytes_, path_of(file.key), origins_);
      auto loaded = trailer->load(fd.get());
      if (!loaded.ok()) return loaded;
      file.shared = has_other_links(fd.get());
      file.fd = std::move(fd);
      file.trailer = std::move(trailer);
      file.presence = Presence::present;
      return {};
    }
    auto lost = marked(file.key);
    if (!lost.ok()) return lost.error();
    if (*lost) return create(file, true);
    file.presence = Presence::absent;
  }
  if (!create_if_absent || file.presence == Presence::present) return {};
  return create(file, false);
}

Result<> DiskFolder::create(BlockFile& file, bool lost) {
  const std::string shard = OpenBlock::shard_name(file.key.block);
  const std::string name = OpenBlock::name(file.key);
  auto shard_made = make_folder(folder_, shard);
  if (!shard_made.ok()) return shard_made.error();
  UniqueFd fd(retry([&] {
    return ::openat(folder_.fd.get(), name.c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0600);
  }));
  if (!fd.valid()) return posix_error(errno, "cannot create " + path_of(file.key));
  auto trailer = std::make_unique<BlockTrailer>(file.key, block_size_bytes_, path_of(file.key));
  // At its full size from the start: later writes then change no size, and a reader without
  // this program finds the blocks at their places.
  if (::ftruncate(fd.get(), static_cast<off_t>(trailer->file_bytes())) != 0)
    return posix_error(errno, "cannot size " + path_of(file.key));
  if (lost) trailer->lose();
  // The mark comes last: without it an empty file means a block of zeros, with it a damaged one.
  auto made = lost ? Result<>() : trailer->create(fd.get());
  if (made.ok() && !lost) made = mark(folder_, file.key);
  if (!made.ok()) {
    ::unlinkat(folder_.fd.get(), name.c_str(), 0);
    return made;
  }
  file.fd = std::move(fd);
  file.trailer = std::move(trailer);
  file.presence = BlockFile::Presence::present;
  file.shared = false;
  index(file.key, true);
  ++changes_;
  const std::lock_guard lock(unsynced_mutex_);
  unsynced_shards_.insert(shard);
  return {};
}

Result<bool> DiskFolder::marked(const BlockKey& key) const {
  const std::string name = OpenBlock::name(key).append(mark_suffix);
  if (::faccessat(folder_.fd.get(), name.c_str(), F_OK, AT_EACCESS) == 0) return true;
  if (errno == ENOENT) return false;
  return posix_error(errno, "cannot look at " + folder_.path_of(name));
}

Result<> DiskFolder::mark(const Folder& folder, const BlockKey& key) {
  const std::string name = OpenBlock::name(key).append(mark_suffix);
  const UniqueFd fd(retry([&] {
    return ::openat(folder.fd.get(), name.c_str(), O_WRONLY | O_CREAT | O_CLOEXEC, 0600);
  }));
  if (fd.valid()) return {};
  return posix_error(errno, "cannot create " + folder.path_of(name));
}

Result<> DiskFolder::remove(BlockFile& file) {
  using Presence = BlockFile::Presence;
  if (file.presence == Presence::absent) return {};
  const std::string shard = OpenBlock::shard_name(file.key.block);
  const std::string name = OpenBlock::name(file.key);
  for (const std::string& path : {std::string(name).append(mark_suffix), name}) {
    if (::unlinkat(folder_.fd.get(), path.c_str(), 0) != 0 && errno != ENOENT)
      return posix_error(errno, "cannot remove " + folder_.path_of(path));
  }
  ++changes_;
  index(file.key, false);
  file.fd.reset();
  file.trailer.reset();
  file.presence = Presence::absent;
  const std::lock_guard lock(unsynced_mutex_);
  unsynced_shards_.insert(shard);
  return {};
}

bool DiskFolder::gone(const BlockFile& file) const {
  struct stat open_one {};
  struct stat named {};
  if (::fstat(file.fd.get(), &open_one) != 0) return true;
  const std::string name = OpenBlock::name(file.key);
  if (::fstatat(folder_.fd.get(), name.c_str(), &named, AT_SYMLINK_NOFOLLOW) != 0) return true;
  return open_one.st_ino != named.st_ino || open_one.st_dev != named.st_dev;
}

void DiskFolder::forget(BlockFile& file) {
  file.fd.reset();
  file.trailer.reset();
  file.presence = BlockFile::Presence::unknown;
}

void DiskFolder::mark_unsynced(BlockFile& file) {
  changes_.fetch_add(1, std::memory_order_relaxed);
  // A flush clears the mark before it syncs, so that who still sees it is covered by that sync.
  if (file.unsynced.load()) return;
  const std::lock_guard lock(unsynced_mutex_);
  if (file.unsynced.load()) return;
  unsynced_[{file.key.block, file.key.generation}] = file.shared_from_this();
  file.unsynced.store(true);
}

Result<> DiskFolder::sync_file(BlockFile& file) {
  const std::shared_lock state(file.state);
  if (!file.fd.valid()) return {};  // removed since
  if (::fdatasync(file.fd.get()) != 0)
    return posix_error(errno, "cannot sync " + path_of(file.key));
  return {};
}

void DiskFolder::sync_early(BlockFile& file) {
  const std::lock_guard sync(sync_mutex_);
  {
    const std::lock_guard lock(unsynced_mutex_);
    if (!file.unsynced.load()) return;
    file.unsynced.store(false);
    unsynced_.erase({file.key.block, file.key.generation});
  }
  auto synced = sync_file(file);
  if (synced.ok() || failed_.load()) return;
  failure_ = synced.error().what;
  failed_.store(true);
}

Result<> DiskFolder::flush(const SyncAll& sync_predecessor) {
  const std::lock_guard sync(sync_mutex_);
  if (!failed_.load()) {
    auto flushed = flush_files(sync_predecessor);
    if (flushed.ok()) return {};
    failure_ = flushed.error().what;
    failed_.store(true);
  }
  return Error{Code::io, failure_};
}

Result<> DiskFolder::flush_files(const SyncAll& sync_predecessor) {
  std::map<FileId, std::shared_ptr<BlockFile>> files;
  std::set<std::string> shards;
  {
    const std::lock_guard lock(unsynced_mutex_);
    files.swap(unsynced_);
    shards.swap(unsynced_shards_);
    for (const auto& [id, file] : files) file->unsynced.store(false);
  }
  if (first_flush_ == FirstFlush::predecessor) {
    auto synced = sync_predecessor();
    if (!synced.ok()) return synced.error();
  }
  if (first_flush_ == FirstFlush::file_system && ::syncfs(folder_.fd.get()) != 0)
    return posix_error(errno, "cannot sync the file system of " + folder_.path);
  first_flush_ = FirstFlush::nothing;

  // 1. Start all writing, so that the device sees everything at once and one journal commit
  //    serves many files. Its errors come out of step 2.
  if (files.size() > 1) {
    for (const auto& [id, file] : files) {
      const std::shared_lock state(file->state);
      if (file->fd.valid()) ::sync_file_range(file->fd.get(), 0, 0, SYNC_FILE_RANGE_WRITE);
    }
  }
  // 2. Data and sizes. 3. The folders that name new files, or no longer name removed ones.
  for (const auto& [id, file] : files) {
    auto synced = sync_file(*file);
    if (!synced.ok()) return synced.error();
  }
  return sync_folders(shards);
}

Result<> DiskFolder::sync_folders(const std::set<std::string>& shards) {
  for (const std::string& name : shards) {
    auto shard = open_folder(folder_, name);
    if (!shard.ok()) return shard.error();
    auto synced = sync_folder(*shard);
    if (!synced.ok()) return synced.error();
  }
  // The shards' own entries.
  if (!shards.empty()) return sync_folder(folder_);
  return {};
}

void DiskFolder::set_first_flush(FirstFlush what) {
  const std::lock_guard sync(sync_mutex_);
  first_flush_ = what;
}

void DiskFolder::reopen() {
  const std::lock_guard sync(sync_mutex_);
  if (!failed_.load()) return;
  // What the failed flush had left to do is nobody's list any more.
  first_flush_ = FirstFlush::file_system;
  failure_.clear();
  failed_.store(false);
}

Result<BlockStore::Usage> DiskFolder::usage() {
  const std::lock_guard lock(usage_mutex_);
  const auto now = std::chrono::steady_clock::now();
  const std::uint64_t changes = changes_.load();
  // Who shares files with others does not hear of it when those go.
  const bool same = changes == usage_changes_ && usage_.shared_bytes == 0;
  if (usage_cost_ &&
      (same || (*usage_cost_ > quick_count_ && now - usage_time_ < *usage_cost_ * 10)))
    return usage_;
  auto measured = measure();
  if (!measured.ok()) return measured.error();
  usage_ = *measured;
  usage_changes_ = changes;
  usage_time_ = std::chrono::steady_clock::now();
  usage_cost_ = usage_time_ - now;
  return usage_;
}

Result<std::vector<BlockKey>> DiskFolder::blocks() const {
  auto names = list_names(folder_);
  if (!names.ok()) return names.error();
  std::vector<BlockKey> found;
  for (const std::string& name : *names) {
    if (!is_shard_name(name)) continue;
    auto shard = open_folder(folder_, name);
    if (shard.failed_with(Code::not_found)) continue;
    if (!shard.ok()) return shard.error();
    auto files = list_names(*shard);
    if (!files.ok()) return files.error();
    for (std::string& file : *files) {
      if (file.ends_with(mark_suffix)) file.resize(file.size() - mark_suffix.size());
      if (auto key = OpenBlock::key_of(id_, file)) found.push_back(*key);
    }
  }
  std::sort(found.begin(), found.end());
  found.erase(std::unique(found.begin(), found.end()), found.end());  // a file and its mark
  return found;
}

Result<BlockStore::Usage> DiskFolder::measure() const {
  auto names = list_names(folder_);
  if (!names.ok()) return names.error();
  BlockStore::Usage total;
  for (const std::string& name : *names) {
    if (!is_shard_name(name)) continue;
    auto shard = open_folder(folder_, name);
    if (!shard.ok()) return shard.error();
    auto files = list_names(*shard);
    if (!files.ok()) return files.error();
    for (const std::string& file : *files) {
      if (file.ends_with(mark_suffix)) continue;
      struct stat status {};
      if (::fstatat(shard->fd.get(), file.c_str(), &status, AT_SYMLINK_NOFOLLOW) != 0) {
        if (errno == ENOENT) continue;  // removed meanwhile
        return posix_error(errno, "cannot look at " + shard->path_of(file));
      }
      const std::uint64_t bytes = static_cast<std::uint64_t>(status.st_blocks) * 512;
      total.allocated_bytes += bytes;
      if (status.st_nlink > 1) total.shared_bytes += bytes;
      total.own_bytes += bytes / std::max<std::uint64_t>(1, status.st_nlink);
      ++total.blocks;
    }
  }
  return total;
}

Result<std::optional<std::string>> DiskFolder::load_file(const std::string& name) {
  const std::lock_guard lock(small_mutex_);
  auto content = read_small_file(folder_, name);
  if (content.failed_with(Code::not_found)) return std::optional<std::string>{};
  if (!content.ok()) return content.error();
  return std::optional<std::string>{std::move(*content)};
}

Result<> DiskFolder::replace_file(const std::string& name, std::string_view content) {
  const std::lock_guard lock(small_mutex_);
  appending_.erase(name);
  return replace_small_file(folder_, name, content);
}

Result<> DiskFolder::append_file(const std::string& name, std::string_view content) {
  const std::lock_guard lock(small_mutex_);
  const std::string path = folder_.path_of(name);
  UniqueFd& fd = appending_[name];
  if (!fd.valid()) {
    fd.reset(retry([&] {
      return ::openat(folder_.fd.get(), name.c_str(), O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC,
                      0600);
    }));
    if (!fd.valid()) return posix_error(errno, "cannot open " + path);
    auto synced = sync_folder(folder_);  // it may be new
    if (!synced.ok()) {
      fd.reset();
      return synced.error();
    }
  }
  auto written = write_all(fd.get(), content, path);
  if (!written.ok()) return written.error();
  if (::fdatasync(fd.get()) != 0) return posix_error(errno, "cannot sync " + path);
  return {};
}

}  // namespace ukai
