// SPDX-License-Identifier: BSD-2-Clause
// The folder of disks: what is seen, and what is refused with which errno.
#include <dirent.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <sys/xattr.h>

#include <algorithm>
#include <vector>

#include "unit/fuse/mounted.h"

namespace ukai {
namespace {

std::vector<std::string> names_in(const std::string& folder) {
  std::vector<std::string> names;
  DIR* listing = opendir(folder.c_str());
  if (listing == nullptr) return {"opendir failed"};
  while (const dirent* entry = readdir(listing)) names.emplace_back(entry->d_name);
  closedir(listing);
  std::sort(names.begin(), names.end());
  return names;
}

struct stat stat_of(const std::string& path) {
  struct stat out {};
  EXPECT_EQ(failure_of(stat(path.c_str(), &out)), 0) << path;
  return out;
}

using FuseNames = Mounted;

TEST_F(FuseNames, shows_all_disks_whether_open_or_not) {
  mount();
  EXPECT_EQ(names_in(point_), (std::vector<std::string>{".", "..", "d"}));
}

TEST_F(FuseNames, lists_a_thousand_disks) {
  for (int i = 0; i < 1000; ++i) cluster_.create("disk-" + std::to_string(i), 4096);
  mount();
  EXPECT_EQ(names_in(point_).size(), 1003U);
}

TEST_F(FuseNames, shows_disks_that_come_and_go_without_a_remount) {
  mount();
  cluster_.create("late", 4096);
  EXPECT_EQ(stat_of(path("late")).st_size, 4096);
  EXPECT_EQ(names_in(point_).size(), 4U);
  cluster_.remove("late");
  EXPECT_EQ(failure_of(access(path("late").c_str(), F_OK)), ENOENT);
  EXPECT_EQ(names_in(point_).size(), 3U);
}

TEST_F(FuseNames, shows_size_blocks_times_and_owner) {
  FuseOptions options;
  options.uid = 12;
  options.gid = 34;
  options.mode = 0640;
  mount(options);
  const auto before = stat_of(path("d"));
  EXPECT_EQ(before.st_mode, static_cast<mode_t>(S_IFREG | 0640));
  EXPECT_EQ(before.st_uid, 12U);
  EXPECT_EQ(before.st_gid, 34U);
  EXPECT_EQ(before.st_nlink, 1U);
  EXPECT_EQ(before.st_size, static_cast<off_t>(size_bytes));
  EXPECT_GT(before.st_blocks, 0) << "GNU tar does not read a file without blocks";
  EXPECT_LT(before.st_blocks, 16);
  EXPECT_EQ(before.st_mtim.tv_sec, 1'700'000'000);

  const std::string data = pattern(size_bytes / 2, 1);
  File file(path("d"), O_RDWR);
  ASSERT_EQ(pwrite(*file, data.data(), data.size(), 0), static_cast<ssize_t>(data.size()));
  const auto after = stat_of(path("d"));
  EXPECT_EQ(after.st_blocks, static_cast<blkcnt_t>(data.size() / 512));
  EXPECT_GT(after.st_mtim.tv_sec, before.st_mtim.tv_sec);
  EXPECT_GE(after.st_ctim.tv_sec, after.st_mtim.tv_sec);
  EXPECT_EQ(after.st_ino, before.st_ino);

  const auto folder = stat_of(point_);
  EXPECT_EQ(folder.st_mode, static_cast<mode_t>(S_IFDIR | 0755));
  EXPECT_EQ(folder.st_uid, 12U);
  EXPECT_GE(folder.st_mtim.tv_sec, before.st_mtim.tv_sec);
}

TEST_F(FuseNames, keeps_the_inode_number_across_mounts) {
  mount();
  const auto first = stat_of(path("d")).st_ino;
  session_.reset();
  mount();
  EXPECT_EQ(stat_of(path("d")).st_ino, first);
}

TEST_F(FuseNames, shows_what_chown_chmod_and_utimens_set) {
  mount();
  ASSERT_EQ(failure_of(chown(path("d").c_str(), 64055, 64056)), 0);
  ASSERT_EQ(failure_of(chmod(path("d").c_str(), 0660)), 0);
  const timespec times[2] = {{1000, 5}, {2000, 7}};
  ASSERT_EQ(failure_of(utimensat(AT_FDCWD, path("d").c_str(), times, 0)), 0);
  const auto seen = stat_of(path("d"));
  EXPECT_EQ(seen.st_uid, 64055U);
  EXPECT_EQ(seen.st_gid, 64056U);
  EXPECT_EQ(seen.st_mode & 07777, 0660U);
  EXPECT_EQ(seen.st_atim.tv_sec, 1000);
  EXPECT_EQ(seen.st_mtim.tv_sec, 2000);
  EXPECT_EQ(seen.st_mtim.tv_nsec, 7);
  ASSERT_EQ(run("echo 2 > /proc/sys/vm/drop_caches"), 0);  // the kernel forgets the inode
  EXPECT_EQ(stat_of(path("d")).st_uid, 64055U);
}

TEST_F(FuseNames, lets_the_kernel_check_permissions) {
  FuseOptions options;
  options.mode = 0600;
  mount(options);
  EXPECT_NE(run("setpriv --reuid=65534 --clear-groups cat $M/d >/dev/null 2>&1"), 0);
  EXPECT_EQ(run("setpriv --reuid=65534 --clear-groups ls $M >/dev/null"), 0);
  ASSERT_EQ(chown(path("d").c_str(), 65534, 0), 0);
  EXPECT_EQ(run("setpriv --reuid=65534 --clear-groups cat $M/d >/dev/null"), 0);
}

TEST_F(FuseNames, refuses_what_ukaictl_alone_may_do) {
  mount();
  EXPECT_EQ(failure_of(mkdir(path("new").c_str(), 0755)), EPERM);
  EXPECT_EQ(failure_of(mkdir(path("d").c_str(), 0755)), EEXIST);
  EXPECT_EQ(failure_of(unlink(path("d").c_str())), EPERM);
  EXPECT_EQ(failure_of(unlink(path("none").c_str())), ENOENT);
  EXPECT_EQ(failure_of(rmdir(path("d").c_str())), ENOTDIR);
  EXPECT_EQ(failure_of(rmdir(path("none").c_str())), ENOENT);
  EXPECT_EQ(failure_of(rename(path("d").c_str(), path("e").c_str())), EPERM);
  EXPECT_EQ(failure_of(symlink("d", path("link").c_str())), EPERM);
  EXPECT_EQ(failure_of(link(path("d").c_str(), path("link").c_str())), EROFS);
  EXPECT_EQ(failure_of(mknod(path("node").c_str(), S_IFREG | 0644, 0)), EROFS);
  EXPECT_EQ(failure_of(open(path("new").c_str(), O_CREAT | O_RDWR, 0644)), EPERM);
  EXPECT_EQ(failure_of(open(path("d").c_str(), O_CREAT | O_EXCL | O_RDWR, 0644)), EEXIST);
  EXPECT_EQ(failure_of(open(path("d/x").c_str(), O_RDONLY)), ENOTDIR);
  EXPECT_EQ(failure_of(open(path("none/x").c_str(), O_RDONLY)), ENOENT);
  char target[16];
  EXPECT_EQ(failure_of(readlink(path("d").c_str(), target, sizeof target)), EINVAL);
  EXPECT_EQ(names_in(point_), (std::vector<std::string>{".", "..", "d"}));
}

TEST_F(FuseNames, opens_an_existing_disk_with_o_creat) {
  mount();
  File file(path("d"), O_CREAT | O_RDWR);
  EXPECT_GE(*file, 0);
}

TEST_F(FuseNames, knows_no_name_that_no_disk_can_have) {
  mount();
  EXPECT_EQ(failure_of(open(path(".hidden").c_str(), O_RDONLY)), ENOENT);
  EXPECT_EQ(failure_of(open(path("d@snap").c_str(), O_RDONLY)), ENOENT);
  EXPECT_EQ(failure_of(open(path("a\nb").c_str(), O_RDONLY)), ENOENT);
  EXPECT_EQ(failure_of(open(path("a\nb").c_str(), O_CREAT | O_WRONLY, 0600)), EPERM);
  EXPECT_EQ(failure_of(open(path(std::string(200, 'a')).c_str(), O_RDONLY)), ENOENT);
}

TEST_F(FuseNames, has_no_extended_attributes_and_no_ioctls) {
  mount();
  char value[16];
  EXPECT_EQ(failure_of(getxattr(path("d").c_str(), "user.x", value, sizeof value)), ENOTSUP);
  EXPECT_EQ(failure_of(setxattr(path("d").c_str(), "user.x", "1", 1, 0)), ENOTSUP);
  EXPECT_EQ(failure_of(removexattr(path("d").c_str(), "user.x")), ENOTSUP);
  EXPECT_EQ(listxattr(path("d").c_str(), value, sizeof value), 0);
  EXPECT_EQ(listxattr(path("d").c_str(), nullptr, 0), 0);
  EXPECT_NE(run("python3 -c 'import fcntl,errno\n"
                "try: fcntl.ioctl(open(\"'$M'/d\"), 0x1268, b\"0000\")\n"
                "except OSError as e: raise SystemExit(0 if e.errno != errno.ENOTTY else 7)'"),
            0);
}

TEST_F(FuseNames, tells_the_true_space) {
  mount();
  struct statvfs space {};
  ASSERT_EQ(statvfs(point_.c_str(), &space), 0);
  EXPECT_EQ(space.f_blocks * space.f_frsize, 10ULL << 30);
  EXPECT_EQ(space.f_bavail * space.f_frsize, 4ULL << 30);
  EXPECT_EQ(space.f_bfree, space.f_bavail);
  EXPECT_EQ(space.f_namemax, 128U);
}

TEST_F(FuseNames, has_attributes_of_an_open_file_after_a_rename_and_without_metadata) {
  mount();
  File file(path("d"), O_RDONLY);
  ASSERT_GE(*file, 0);
  cluster_.rename("d", "e");
  struct stat seen {};
  EXPECT_EQ(failure_of(fstat(*file, &seen)), 0);
  EXPECT_EQ(seen.st_ino, stat_of(path("e")).st_ino);
  cluster_.metadata_away = true;
  EXPECT_EQ(failure_of(fstat(*file, &seen)), 0);
  EXPECT_EQ(failure_of(access(path("e").c_str(), F_OK)), EIO);
}

TEST_F(FuseNames, does_not_take_a_new_disk_for_an_old_one_of_the_same_name) {
  mount();
  const auto old = stat_of(path("d")).st_ino;
  cluster_.remove("d");
  cluster_.create("d", 4096);
  EXPECT_NE(stat_of(path("d")).st_ino, old);
  EXPECT_EQ(stat_of(path("d")).st_size, 4096);
}

}  // namespace
}  // namespace ukai
