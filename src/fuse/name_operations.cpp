// SPDX-License-Identifier: BSD-2-Clause
// What the mount's folder holds, and what nobody may do to it: disks come and go with ukaictl.
#include <cerrno>
#include <cstring>

#include "fuse/mount.h"
#include "ukai/history.h"

namespace ukai::fuse {
namespace {

Task<void> look_up(Mount& mount, Request request, DiskName name) {
  auto disk = co_await mount.disks.stat(name);
  if (!disk) {
    request.fail(disk.error());
    co_return;
  }
  const auto inode = mount.inodes.look_up(*disk);
  request.entry(file_stat(mount, *inode, *disk));
}

void on_lookup(fuse_req_t raw, fuse_ino_t parent, const char* text) {
  Mount& mount = mount_of(raw);
  Request request(raw, mount.in_flight);
  if (parent != InodeTable::root_number) return request.fail(ENOTDIR);
  auto parts = parse_snapshot_name(text);
  if (!parts) return request.fail(ENOENT);  // no disk can have such a name
  spawn(look_up(mount, std::move(request), DiskName(text)));
}

void on_forget(fuse_req_t raw, fuse_ino_t inode, std::uint64_t count) {
  Mount& mount = mount_of(raw);
  Request request(raw, mount.in_flight);
  mount.inodes.forget(inode, count);
  request.nothing();
}

void on_forget_multi(fuse_req_t raw, std::size_t count, fuse_forget_data* forgets) {
  Mount& mount = mount_of(raw);
  Request request(raw, mount.in_flight);
  for (std::size_t i = 0; i < count; ++i) mount.inodes.forget(forgets[i].ino, forgets[i].nlookup);
  request.nothing();
}

// -- the listing

void on_opendir(fuse_req_t raw, fuse_ino_t inode, fuse_file_info*) {
  Mount& mount = mount_of(raw);
  Request request(raw, mount.in_flight);
  if (inode != InodeTable::root_number) return request.fail(ENOTDIR);
  const std::uint64_t number = mount.folders.add(std::make_shared<FolderHandle>());
  if (!request.opened(number, 0)) mount.folders.remove(number);
}

void on_releasedir(fuse_req_t raw, fuse_ino_t, fuse_file_info* info) {
  Mount& mount = mount_of(raw);
  Request request(raw, mount.in_flight);
  mount.folders.remove(info->fh);
  request.done();
}

/// Entry i of the listing: ".", "..", then the disks. Its offset is i + 1: where the next begins.
std::string listing_part(Request& request, const std::vector<DiskName>& names, std::size_t from,
                         std::size_t room_bytes) {
  std::string out(room_bytes, '\0');
  std::size_t used = 0;
  for (std::size_t i = from; i < names.size() + 2; ++i) {
    const bool is_disk = i >= 2;
    const char* name = is_disk ? names[i - 2].str().c_str() : (i == 0 ? "." : "..");
    struct stat entry {};
    entry.st_mode = is_disk ? S_IFREG : S_IFDIR;
    // A listing tells no inode numbers of disks: those would cost one look-up each.
    entry.st_ino = is_disk ? 0xffffffffU : InodeTable::root_number;
    const std::size_t need = fuse_add_direntry(request.raw(), out.data() + used, room_bytes - used,
                                               name, &entry, static_cast<off_t>(i + 1));
    if (need > room_bytes - used) break;
    used += need;
  }
  out.resize(used);
  return out;
}

struct ListingPart {
  std::shared_ptr<FolderHandle> folder;
  std::size_t from = 0;
  std::size_t room_bytes = 0;
};

Task<void> read_folder(Mount& mount, Request request, ListingPart part) {
  if (part.from == 0) {  // opened or rewound: as it is now
    auto names = co_await mount.disks.list();
    if (names.ok() && mount.options.list_snapshots) {
      auto snapshots = co_await mount.disks.list_snapshots();
      if (snapshots.ok()) names->insert(names->end(), snapshots->begin(), snapshots->end());
    }
    if (!names) {
      request.fail(names.error());
      co_return;
    }
    std::lock_guard lock(part.folder->mutex);
    part.folder->names = std::move(*names);
  }
  std::string entries;
  {
    std::lock_guard lock(part.folder->mutex);
    entries = listing_part(request, part.folder->names, part.from, part.room_bytes);
  }
  request.text(entries);
}

void on_readdir(fuse_req_t raw, fuse_ino_t, std::size_t size, off_t offset, fuse_file_info* info) {
  Mount& mount = mount_of(raw);
  Request request(raw, mount.in_flight);
  ListingPart part;
  part.folder = mount.folders.find(info->fh);
  part.from = static_cast<std::size_t>(offset);
  part.room_bytes = size;
  if (!part.folder) return request.fail(EBADF);
  spawn(read_folder(mount, std::move(request), std::move(part)));
}

void on_fsyncdir(fuse_req_t raw, fuse_ino_t, int, fuse_file_info*) { fuse_reply_err(raw, 0); }

// -- what is refused, with the errnos of the original

void on_mkdir(fuse_req_t raw, fuse_ino_t, const char*, mode_t) { fuse_reply_err(raw, EPERM); }
void on_remove(fuse_req_t raw, fuse_ino_t, const char*) { fuse_reply_err(raw, EPERM); }
void on_symlink(fuse_req_t raw, const char*, fuse_ino_t, const char*) {
  fuse_reply_err(raw, EPERM);
}
void on_rename(fuse_req_t raw, fuse_ino_t, const char*, fuse_ino_t, const char*, unsigned) {
  fuse_reply_err(raw, EPERM);
}
void on_link(fuse_req_t raw, fuse_ino_t, fuse_ino_t, const char*) { fuse_reply_err(raw, EROFS); }
void on_mknod(fuse_req_t raw, fuse_ino_t, const char*, mode_t, dev_t) {
  fuse_reply_err(raw, EROFS);
}

}  // namespace

void add_name_operations(fuse_lowlevel_ops& operations) {
  operations.lookup = on_lookup;
  operations.forget = on_forget;
  operations.forget_multi = on_forget_multi;
  operations.opendir = on_opendir;
  operations.releasedir = on_releasedir;
  operations.readdir = on_readdir;
  operations.fsyncdir = on_fsyncdir;
  operations.mkdir = on_mkdir;
  operations.unlink = on_remove;
  operations.rmdir = on_remove;
  operations.symlink = on_symlink;
  operations.rename = on_rename;
  operations.link = on_link;
  operations.mknod = on_mknod;
}

}  // namespace ukai::fuse
