// SPDX-License-Identifier: BSD-2-Clause
#include "store/file_block_store.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <linux/magic.h>
#include <sys/resource.h>
#include <sys/vfs.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <sstream>

#include "store/text_record.h"

namespace ukai {
namespace {

constexpr std::uint32_t disk_format_plain = 1;
constexpr std::uint32_t disk_format = 2;  // with origins
constexpr const char* disk_file = "disk";
constexpr std::size_t idle_buffer_bytes_max = 32U << 20;  // some requests of the largest size
constexpr std::size_t other_descriptors = 512;            // sockets, logs, folders

Error not_open(DiskId disk) {
  return Error{Code::not_found, fmt::format("disk {} is not in this store", disk.to_string())};
}

std::string join(const std::vector<DiskId>& ids) {
  std::string out;
  for (const DiskId& id : ids) out.append(out.empty() ? "" : " ").append(id.to_string());
  return out;
}

Result<std::vector<DiskId>> split(const std::string& text) {
  std::vector<DiskId> out;
  std::istringstream words(text);
  for (std::string word; words >> word;) {
    auto id = DiskId::parse(word);
    if (!id.ok()) return Error{Code::corrupt, id.error().what};
    out.push_back(*id);
  }
  return out;
}

Result<Extent> check_range(const DiskFolder& disk, std::uint64_t offset, std::uint64_t length) {
  if (offset + length > disk.block_size_bytes())
    return Error{Code::invalid, fmt::format("bytes {}..{} are beyond the block of {} bytes", offset,
                                            offset + length, disk.block_size_bytes())};
  return Extent{static_cast<std::uint32_t>(offset), static_cast<std::uint32_t>(offset + length)};
}

/// Its file was there, and could not be opened again when it was checked.
Error away(const DiskFolder& disk, const BlockKey& key) {
  return Error{Code::io, fmt::format("{} cannot be opened", disk.path_of(key))};
}

/// The bound on open files, after making room for it among the process's descriptors.
std::size_t allowed_open_files(std::size_t wanted) {
  rlimit limit{};
  if (::getrlimit(RLIMIT_NOFILE, &limit) != 0) return wanted;
  const rlim_t needed = wanted + other_descriptors;
  if (limit.rlim_cur < needed) {
    limit.rlim_cur = std::min<rlim_t>(needed, limit.rlim_max);
    ::setrlimit(RLIMIT_NOFILE, &limit);
    ::getrlimit(RLIMIT_NOFILE, &limit);
  }
  return std::clamp<std::size_t>(wanted, 1, std::max<std::size_t>(1, limit.rlim_cur / 2));
}

}  // namespace

// -- disks

FileBlockStore::FileBlockStore(StoreFolder folder, const FileStoreOptions& options,
                               bool always_ready)
    : folder_(std::move(folder)),
      quick_count_(options.quick_count),
      space_(folder_.root, options.reserve_bytes),
      pool_(std::make_shared<BufferPool>(idle_buffer_bytes_max)),
      io_(pool_, always_ready),
      files_(allowed_open_files(options.open_files_max)),
      start_sync_(folder_.fresh ? StartSync::done : StartSync::pending) {}

Result<FileBlockStore::DiskRef> FileBlockStore::find(DiskId disk) {
  {
    const std::shared_lock lock(disks_mutex_);
    const auto at = disks_.find(disk);
    if (at != disks_.end()) return at->second;
  }
  const std::unique_lock lock(disks_mutex_);
  const auto at = disks_.find(disk);
  if (at != disks_.end()) return at->second;
  return load(disk);
}

Result<FileBlockStore::DiskRef> FileBlockStore::load(DiskId disk) {
  auto folder = open_folder(folder_.disks, disk.to_string());
  if (folder.failed_with(Code::not_found)) return not_open(disk);
  if (!folder.ok()) return folder.error();
  auto content = read_small_file(*folder, disk_file);
  if (content.failed_with(Code::not_found)) return Error{Code::corrupt, content.error().what};
  if (!content.ok()) return content.error();
  auto record = TextRecord::decode(*content, "disk", disk_format, folder->path_of(disk_file));
  if (!record.ok()) return record.error();
  auto id = record->text("id");
  if (!id.ok()) return id.error();
  if (*id != disk.to_string())
    return Error{Code::corrupt, fmt::format("{}: is of disk {}", folder->path_of(disk_file), *id)};
  auto block_size = record->number("block_size");
  if (!block_size.ok()) return block_size.error();
  std::vector<DiskId> origins;
  if (record->format() >= disk_format) {
    auto said = record->text("origins");
    if (!said.ok()) return said.error();
    auto ids = split(*said);
    if (!ids.ok()) return ids.error();
    origins = std::move(*ids);
  }
  // A predecessor that died while it made the folder may not have synced its name.
  auto synced = sync_folder(folder_.disks);
  if (!synced.ok()) return synced.error();
  auto loaded = std::make_shared<DiskFolder>(disk, static_cast<std::uint32_t>(*block_size),
                                             std::move(*folder), quick_count_, std::move(origins));
  loaded->set_first_flush(DiskFolder::FirstFlush::predecessor);
  disks_[disk] = loaded;
  return loaded;
}

Result<Folder> FileBlockStore::begin_folder(DiskId disk, std::uint32_t block_size_bytes,
                                            const std::vector<DiskId>& origins) {
  // Built aside and renamed, so that a folder under its final name is always whole.
  const std::string building = disk.to_string() + ".new";
  auto removed = remove_tree(folder_.trash, building);
  if (!removed.ok()) return removed.error();
  auto made = make_folder(folder_.trash, building);
  if (!made.ok()) return made.error();
  auto folder = open_folder(folder_.trash, building);
  if (!folder.ok()) return folder.error();
  TextRecord record("disk", origins.empty() ? disk_format_plain : disk_format);
  record.add("id", disk.to_string()).add("block_size", block_size_bytes);
  if (!origins.empty()) record.add("origins", join(origins));
  auto written = replace_small_file(*folder, disk_file, record.encode());
  if (!written.ok()) return written.error();
  return folder;
}

Result<> FileBlockStore::end_folder(DiskId disk, std::uint32_t block_size_bytes, Folder folder,
                                    std::vector<DiskId> origins) {
  const std::string name = disk.to_string();
  const std::string building = name + ".new";
  if (::renameat(folder_.trash.fd.get(), building.c_str(), folder_.disks.fd.get(), name.c_str()) !=
      0)
    return posix_error(errno, "cannot make folder " + folder_.disks.path_of(name));
  auto synced = sync_folder(folder_.disks);
  if (!synced.ok()) return synced.error();
  folder.path = folder_.disks.path_of(name);
  disks_[disk] = std::make_shared<DiskFolder>(disk, block_size_bytes, std::move(folder),
                                              quick_count_, std::move(origins));
  return {};
}

Result<FileBlockStore::DiskRef> FileBlockStore::create(DiskId disk,
                                                       std::uint32_t block_size_bytes) {
  auto folder = begin_folder(disk, block_size_bytes, {});
  if (!folder.ok()) return folder.error();
  auto made = end_folder(disk, block_size_bytes, std::move(*folder), {});
  if (!made.ok()) return made.error();
  return disks_[disk];
}

Result<> FileBlockStore::open_disk(DiskId disk, std::uint32_t block_size_bytes) {
  const std::unique_lock lock(disks_mutex_);
  const auto at = disks_.find(disk);
  auto opened = at != disks_.end() ? Result<DiskRef>(at->second) : load(disk);
  if (opened.failed_with(Code::not_found)) opened = create(disk, block_size_bytes);
  if (!opened.ok()) return opened.error();
  if ((*opened)->block_size_bytes() != block_size_bytes)
    return Error{Code::invalid,
                 fmt::format("disk {} has blocks of {} bytes here, not of {}", disk.to_string(),
                             (*opened)->block_size_bytes(), block_size_bytes)};
  (*opened)->reopen();
  return {};
}

Result<> FileBlockStore::delete_disk(DiskId disk) {
  const std::unique_lock lock(disks_mutex_);
  disks_.erase(disk);
  files_.drop(disk);
  const std::string name = disk.to_string();
  // Away in one step, durably; then piece by piece, which a restart completes.
  auto removed = remove_tree(folder_.trash, name);
  if (!removed.ok()) return removed.error();
  if (::renameat(folder_.disks.fd.get(), name.c_str(), folder_.trash.fd.get(), name.c_str()) != 0) {
    if (errno == ENOENT) return {};
    return posix_error(errno, "cannot remove " + folder_.disks.path_of(name));
  }
  auto synced = sync_folder(folder_.disks);
  if (!synced.ok()) return synced.error();
  return remove_tree(folder_.trash, name);
}

Result<std::vector<DiskId>> FileBlockStore::disks() {
  auto names = list_names(folder_.disks);
  if (!names.ok()) return names.error();
  std::vector<DiskId> found;
  for (const std::string& name : *names) {
    auto id = DiskId::parse(name);
    if (id.ok()) found.push_back(*id);  // anything else there is not ours
  }
  return found;
}

// -- data

Result<> FileBlockStore::ensure_open(const DiskRef& disk, BlockFile& file, bool create) {
  using Presence = BlockFile::Presence;
  {
    const std::shared_lock state(file.state);
    if (file.presence == Presence::present) return {};
    if (file.presence == Presence::absent && !create) return {};
  }
  const std::unique_lock state(file.state);
  return disk->open(file, create);
}

Result<std::optional<Payload>> FileBlockStore::read(BlockKey key, std::uint32_t offset_bytes,
                                                    std::uint32_t length_bytes, bool ready_only) {
  auto disk = find(key.disk);
  if (!disk.ok()) return disk.error();
  auto range = check_range(**disk, offset_bytes, length_bytes);
  if (!range.ok()) return range.error();
  if (ready_only) {
    auto file = files_.use_if_open(key);
    if (!file) return std::optional<Payload>{};
    const std::shared_lock state((*file)->state, std::try_to_lock);
    if (!state.owns_lock() || (*file)->presence == BlockFile::Presence::unknown)
      return std::optional<Payload>{};
    if (!(*file)->fd.valid()) return std::optional<Payload>{Payload::zeros(length_bytes)};
    return io_.read((*disk)->handle_of(**file), *range, true);
  }
  auto file = files_.use(*disk, key);
  auto opened = ensure_open(*disk, *file, false);
  if (!opened.ok()) return opened.error();
  const std::shared_lock state(file->state);
  if (file->presence == BlockFile::Presence::unknown) return away(**disk, key);
  if (!file->fd.valid()) return std::optional<Payload>{Payload::zeros(length_bytes)};
  return io_.read((*disk)->handle_of(*file), *range, false);
}

void FileBlockStore::will_read(BlockKey key) {
  auto disk = find(key.disk);
  if (!disk.ok()) return;
  auto file = files_.use(*disk, key);
  if (!ensure_open(*disk, *file, false).ok()) return;
  const std::shared_lock state(file->state);
  if (file->fd.valid()) BlockFileIo::will_read((*disk)->handle_of(*file));
}

Result<> FileBlockStore::check_space(const DiskRef& disk, BlockFile& file, Extent range) {
  auto fits = space_.fits(range.end_bytes - range.begin_bytes);
  if (!fits.ok()) return fits.error();
  if (*fits) return {};
  // What is there already may be overwritten to the last byte.
  auto opened = ensure_open(disk, file, false);
  if (!opened.ok()) return opened.error();
  const std::shared_lock state(file.state);
  if (file.fd.valid() && BlockFileIo::is_allocated(disk->handle_of(file), range)) return {};
  return full();
}

Error FileBlockStore::full() const {
  return {Code::no_space,
          fmt::format("the file system of {} is full up to the reserve", folder_.root.path)};
}

Result<> FileBlockStore::unshare(const DiskRef& disk, BlockFile& file) {
  auto fits = space_.fits(disk->block_size_bytes());
  if (!fits.ok()) return fits.error();
  if (!*fits) return full();
  const std::unique_lock state(file.state);
  return file.fd.valid() ? disk->unshare(file) : Result<>();
}

/// In the version's file, which no other disk shares then. Without `create`, what is not there is
/// left so.
template <class Change>
Result<> FileBlockStore::change(const DiskRef& disk, BlockFile& file, bool create,
                                const Change& change_it) {
  while (true) {
    auto opened = ensure_open(disk, file, create);
    if (!opened.ok()) return opened;
    std::shared_lock state(file.state);
    if (!file.fd.valid()) {
      if (!create && file.presence == BlockFile::Presence::absent) return {};
      continue;  // removed between the two locks
    }
    if (file.shared) {
      state.unlock();
      auto alone = unshare(disk, file);
      if (!alone.ok()) return alone;
      continue;
    }
    auto changed = change_it(disk->handle_of(file));
    // Also when it failed: a part may have been written.
    disk->mark_unsynced(file);
    return changed;
  }
}

Result<> FileBlockStore::write(BlockKey key, std::uint32_t offset_bytes, const Payload& data) {
  auto disk = find(key.disk);
  if (!disk.ok()) return disk.error();
  auto range = check_range(**disk, offset_bytes, data.size());
  if (!range.ok()) return range.error();
  if (data.empty()) return {};
  auto file = files_.use(*disk, key);
  auto space = check_space(*disk, *file, *range);
  if (!space.ok()) return space;
  return change(*disk, *file, true,
                [&](const OpenBlock& block) { return io_.write(block, offset_bytes, data); });
}

Result<> FileBlockStore::zero(BlockKey key, std::uint32_t offset_bytes,
                              std::uint32_t length_bytes) {
  auto disk = find(key.disk);
  if (!disk.ok()) return disk.error();
  auto range = check_range(**disk, offset_bytes, length_bytes);
  if (!range.ok()) return range.error();
  if (length_bytes == 0) return {};
  auto file = files_.use(*disk, key);
  if (length_bytes == (*disk)->block_size_bytes()) {
    auto opened = ensure_open(*disk, *file, false);
    if (!opened.ok()) return opened;
    const std::unique_lock state(file->state);
    return (*disk)->remove(*file);
  }
  return change(*disk, *file, false,
                [&](const OpenBlock& block) { return io_.zero(block, *range); });
}

Result<> FileBlockStore::blank(BlockKey key) {
  auto disk = find(key.disk);
  if (!disk.ok()) return disk.error();
  auto file = files_.use(*disk, key);
  return change(*disk, *file, true, [&](const OpenBlock& block) {
    return io_.zero(block, {0, (*disk)->block_size_bytes()});
  });
}

Result<> FileBlockStore::flush(DiskId disk) {
  auto found = find(disk);
  if (!found.ok()) return found.error();
  return (*found)->flush([this] { return sync_predecessor(); });
}

Result<> FileBlockStore::sync_predecessor() {
  const std::lock_guard lock(start_mutex_);
  if (start_sync_ == StartSync::pending) {
    // A fresh descriptor of a file system reports write-back errors that nobody has seen yet, those
    // of the former process included; but only once, hence the memory of it.
    const bool synced = ::syncfs(folder_.root.fd.get()) == 0;
    start_sync_ = synced ? StartSync::done : StartSync::failed;
  }
  if (start_sync_ == StartSync::done) return {};
  return Error{Code::io, fmt::format("cannot sync what was written to {} before this start",
                                     folder_.root.path)};
}

Result<std::vector<Extent>> FileBlockStore::extents(BlockKey key) {
  auto disk = find(key.disk);
  if (!disk.ok()) return disk.error();
  auto file = files_.use(*disk, key);
  auto opened = ensure_open(*disk, *file, false);
  if (!opened.ok()) return opened.error();
  const std::shared_lock state(file->state);
  if (file->presence == BlockFile::Presence::unknown) return away(**disk, key);
  if (!file->fd.valid()) return std::vector<Extent>{};
  return BlockFileIo::extents((*disk)->handle_of(*file), (*disk)->block_size_bytes());
}

Result<std::vector<Extent>> FileBlockStore::check(BlockKey key, Extent range) {
  auto disk = find(key.disk);
  if (!disk.ok()) return disk.error();
  auto checked = check_range(**disk, range.begin_bytes, range.end_bytes - range.begin_bytes);
  if (!checked.ok()) return checked.error();
  auto file = files_.use(*disk, key);
  {
    // A file that was removed or replaced under its name would be read happily until it is closed.
    const std::unique_lock state(file->state);
    if (file->fd.valid() && (*disk)->gone(*file)) DiskFolder::forget(*file);
    auto opened = (*disk)->open(*file, false);
    if (!opened.ok()) return opened.error();
  }
  const std::shared_lock state(file->state);
  if (!file->fd.valid()) return std::vector<Extent>{};
  return io_.check((*disk)->handle_of(*file), *checked);
}

Result<std::uint32_t> FileBlockStore::accept(BlockKey key, Extent range) {
  auto disk = find(key.disk);
  if (!disk.ok()) return disk.error();
  auto checked = check_range(**disk, range.begin_bytes, range.end_bytes - range.begin_bytes);
  if (!checked.ok()) return checked.error();
  auto file = files_.use(*disk, key);
  auto opened = ensure_open(*disk, *file, false);
  if (!opened.ok()) return opened.error();
  const std::shared_lock state(file->state);
  if (!file->fd.valid()) return 0U;
  auto accepted = io_.accept((*disk)->handle_of(*file), *checked);
  (*disk)->mark_unsynced(*file);
  return accepted;
}

Result<> FileBlockStore::give_up(BlockKey key, Extent range) {
  auto disk = find(key.disk);
  if (!disk.ok()) return disk.error();
  auto checked = check_range(**disk, range.begin_bytes, range.end_bytes - range.begin_bytes);
  if (!checked.ok()) return checked.error();
  auto file = files_.use(*disk, key);
  return change(*disk, *file, true,
                [&](const OpenBlock& block) { return BlockFileIo::give_up(block, *checked); });
}

Result<BlockStore::Usage> FileBlockStore::usage(DiskId disk) {
  auto found = find(disk);
  if (!found.ok()) return found.error();
  return (*found)->usage();
}

Result<BlockStore::Holding> FileBlockStore::holding(DiskId disk) {
  auto found = find(disk);
  if (!found.ok()) return found.error();
  auto blocks = (*found)->blocks();
  if (!blocks.ok()) return blocks.error();
  return Holding{(*found)->block_size_bytes(), std::move(*blocks)};
}

// -- small files

Result<std::optional<std::string>> FileBlockStore::load_file(DiskId disk, std::string_view name) {
  auto found = find(disk);
  if (!found.ok()) return found.error();
  return (*found)->load_file(std::string(name));
}

Result<> FileBlockStore::replace_file(DiskId disk, std::string_view name,
                                      std::string_view content) {
  auto found = find(disk);
  if (!found.ok()) return found.error();
  return (*found)->replace_file(std::string(name), content);
}

Result<> FileBlockStore::append_file(DiskId disk, std::string_view name, std::string_view content) {
  auto found = find(disk);
  if (!found.ok()) return found.error();
  return (*found)->append_file(std::string(name), content);
}

Result<StoreSpace> FileBlockStore::space() { return space_.look(); }

Result<std::unique_ptr<BlockStore>> open_file_store(const FileStoreOptions& options) {
  auto folder = open_store_folder(options.root, {options.node_id, options.cluster_id},
                                  options.create_if_empty);
  if (!folder.ok()) return folder.error();
  struct statfs status {};
  if (::fstatfs(folder->root.fd.get(), &status) != 0)
    return posix_error(errno, "cannot look at the file system of " + options.root);
  const auto type = static_cast<std::uint64_t>(status.f_type);
  const bool memory = type == TMPFS_MAGIC || type == RAMFS_MAGIC;
  std::unique_ptr<BlockStore> store =
      std::make_unique<FileBlockStore>(std::move(*folder), options, memory);
  return store;
}

}  // namespace ukai
