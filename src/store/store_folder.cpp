// SPDX-License-Identifier: BSD-2-Clause
#include "store/store_folder.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <linux/fs.h>
#include <sys/file.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <system_error>

#include "store/text_record.h"

namespace ukai {
namespace {

constexpr std::uint32_t store_format = 2;  // 1: without checksums
constexpr const char* identity_name = "ukai-store";
constexpr const char* lock_name = "lock";
constexpr const char* disks_name = "disks";
constexpr const char* trash_name = "trash";

Error refused(std::string text) { return Error{Code::refused, std::move(text)}; }

std::string system_text(int error_number) { return std::generic_category().message(error_number); }

Result<Folder> open_root(const std::string& path) {
  UniqueFd fd(retry([&] { return ::open(path.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC); }));
  if (!fd.valid()) {
    const int error_number = errno;
    if (error_number == ENOENT)
      return Error{Code::not_found, fmt::format("data folder {} does not exist", path)};
    if (error_number == ENOTDIR)
      return refused(fmt::format("data folder {} is not a folder", path));
    return refused(
        fmt::format("data folder {} cannot be read: {}", path, system_text(error_number)));
  }
  if (::faccessat(fd.get(), ".", R_OK | X_OK, AT_EACCESS) != 0)
    return refused(fmt::format("data folder {} cannot be read: {}", path, system_text(errno)));
  if (::faccessat(fd.get(), ".", W_OK, AT_EACCESS) != 0)
    return refused(fmt::format("data folder {} is not writable: {}", path, system_text(errno)));
  return Folder{std::move(fd), path};
}

/// What a crash while formatting leaves, and what a fresh file system has.
Result<bool> counts_as_empty(const Folder& root) {
  auto names = list_names(root);
  if (!names.ok()) return names.error();
  for (const std::string& name : *names) {
    if (name == "lost+found" || name == lock_name || name == fmt::format("{}.tmp", identity_name))
      continue;
    if (name != disks_name && name != trash_name) return false;
    auto folder = open_folder(root, name);
    if (!folder.ok()) return false;
    auto inner = list_names(*folder);
    if (!inner.ok()) return inner.error();
    if (!inner->empty()) return false;
  }
  return true;
}

Result<bool> has_identity(const Folder& root) {
  if (::faccessat(root.fd.get(), identity_name, F_OK, AT_EACCESS) == 0) return true;
  if (errno == ENOENT) return false;
  return posix_error(errno, "cannot look at " + root.path_of(identity_name));
}

Result<UniqueFd> take_lock(const Folder& root) {
  UniqueFd fd(retry(
      [&] { return ::openat(root.fd.get(), lock_name, O_RDWR | O_CREAT | O_CLOEXEC, 0600); }));
  if (!fd.valid())
    return refused(
        fmt::format("data folder {} is not writable: lock: {}", root.path, system_text(errno)));
  if (retry([&] { return ::flock(fd.get(), LOCK_EX | LOCK_NB); }) != 0) {
    if (errno != EWOULDBLOCK) return posix_error(errno, "cannot lock " + root.path);
    auto holder = read_small_file(root, lock_name);
    std::string pid = holder.ok() ? *holder : "";
    std::erase(pid, '\n');
    return Error{Code::busy, fmt::format("data folder {} is in use by process {}", root.path,
                                         pid.empty() ? "(unknown)" : pid)};
  }
  if (::ftruncate(fd.get(), 0) != 0)
    return posix_error(errno, "cannot write " + root.path_of(lock_name));
  auto written = write_all(fd.get(), fmt::format("{}\n", ::getpid()), root.path_of(lock_name));
  if (!written.ok()) return written.error();
  return fd;
}

Result<> format_store(const Folder& root, const StoreIdentity& identity) {
  for (const char* name : {disks_name, trash_name}) {
    auto made = make_folder(root, name);
    if (!made.ok()) return made.error();
  }
  TextRecord record("store", store_format);
  record.add("store_id", DiskId::random().to_string())
      .add("cluster_id", identity.cluster_id)
      .add("node", identity.node_id.str());
  // Last of all, and it syncs the folder: a store is whole or none.
  return replace_small_file(root, identity_name, record.encode());
}

Result<std::string> check_identity(const Folder& root, const StoreIdentity& identity) {
  auto content = read_small_file(root, identity_name);
  if (!content.ok()) return content.error();
  auto record = TextRecord::decode(*content, "store", store_format, root.path_of(identity_name));
  if (!record.ok()) return record.error();
  if (record->format() != store_format)
    return refused(
        fmt::format("data folder {} has format {}, without checksums; this program needs {}: empty "
                    "the folder and let the disks be copied to it again",
                    root.path, record->format(), store_format));
  auto store_id = record->text("store_id");
  auto cluster = record->text("cluster_id");
  auto node = record->text("node");
  for (const auto* field : {&store_id, &cluster, &node})
    if (!field->ok()) return field->error();
  if (*cluster != identity.cluster_id)
    return refused(fmt::format("data folder {} belongs to cluster {}, this is cluster {}",
                               root.path, *cluster, identity.cluster_id));
  if (*node != identity.node_id.str())
    return refused(fmt::format("data folder {} belongs to node {}, this is node {}", root.path,
                               *node, identity.node_id.str()));
  return *store_id;
}

/// Decides before anything is changed whether the folder may be ours. True: to be formatted.
Result<bool> needs_format(const Folder& root, bool create_if_empty) {
  auto identified = has_identity(root);
  if (!identified.ok()) return identified.error();
  if (*identified) return false;
  auto empty = counts_as_empty(root);
  if (!empty.ok()) return empty.error();
  if (!*empty)
    return refused(fmt::format("data folder {} is not a UKAI store: it is not empty and has no {}",
                               root.path, identity_name));
  if (!create_if_empty)
    return Error{Code::not_found, fmt::format("data folder {} holds no UKAI store", root.path)};
  return true;
}

/// Has ext4 put new folders in here far apart (Orlov's allocator, chattr +T). It does not use an
/// inode again for minutes, and passes by each one that was deleted near a new file's folder: where
/// 256 blocks had just been deleted, each new file took 0.4 ms. Other file systems need no hint.
void spread_folders(const Folder& parent) {
  int flags = 0;
  if (::ioctl(parent.fd.get(), FS_IOC_GETFLAGS, &flags) != 0) return;
  flags |= FS_TOPDIR_FL;
  ::ioctl(parent.fd.get(), FS_IOC_SETFLAGS, &flags);
}

Result<> empty_trash(const Folder& trash) {
  auto names = list_names(trash);
  if (!names.ok()) return names.error();
  for (const std::string& name : *names) {
    auto removed = remove_tree(trash, name);
    if (!removed.ok()) return removed.error();
  }
  return {};
}

}  // namespace

Result<StoreFolder> open_store_folder(const std::string& path, const StoreIdentity& identity,
                                      bool create_if_empty) {
  auto root = open_root(path);
  if (!root.ok()) return root.error();
  auto format = needs_format(*root, create_if_empty);
  if (!format.ok()) return format.error();
  if (!*format) {
    // A wrong folder is told without touching its lock.
    auto checked = check_identity(*root, identity);
    if (!checked.ok()) return checked.error();
  }
  auto lock = take_lock(*root);
  if (!lock.ok()) return lock.error();
  // Another daemon may have formatted it before we had the lock.
  format = needs_format(*root, create_if_empty);
  if (!format.ok()) return format.error();
  if (*format) {
    auto formatted = format_store(*root, identity);
    if (!formatted.ok()) return formatted.error();
  }
  auto store_id = check_identity(*root, identity);
  if (!store_id.ok()) return store_id.error();

  StoreFolder store{std::move(*root), {}, {}, std::move(*lock), std::move(*store_id), *format};
  for (auto [name, folder] : {std::pair{disks_name, &store.disks}, {trash_name, &store.trash}}) {
    // Both are there unless somebody tidied up by hand; an absent trash folder is no loss.
    if (folder == &store.trash) {
      auto made = make_folder(store.root, name);
      if (!made.ok()) return made.error();
    }
    auto opened = open_folder(store.root, name);
    if (!opened.ok()) return opened.error();
    *folder = std::move(*opened);
  }
  spread_folders(store.trash);  // a disk's folder begins in there
  auto emptied = empty_trash(store.trash);
  if (!emptied.ok()) return emptied.error();
  return store;
}

}  // namespace ukai
