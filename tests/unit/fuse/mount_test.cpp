// SPDX-License-Identifier: BSD-2-Clause
// Mounting, unmounting, and mount points that will not do.
#include "fuse/mount_point.h"

#include <sys/mount.h>
#include <sys/stat.h>

#include <fstream>

#include "unit/fuse/mounted.h"

namespace ukai {
namespace {

class FuseMount : public Mounted {
 protected:
  /// The message with which mounting at `folder`/name fails.
  std::string refusal(const std::string& mount_point, FuseOptions options = {}) {
    options.mount_point = mount_point;
    auto session = FuseSession::mount(options, *disks_, reactor_, nullptr);
    EXPECT_FALSE(session.ok());
    if (session.ok()) return "";
    EXPECT_EQ(session.error().what.find('\n'), std::string::npos);
    return session.error().what;
  }
  bool is_mounted() {
    std::ifstream file("/proc/self/mountinfo");
    const std::string text((std::istreambuf_iterator<char>(file)), {});
    return !fuse::find_mount(text, point_).type.empty();
  }
};

TEST_F(FuseMount, says_what_is_wrong_with_a_mount_point) {
  EXPECT_EQ(refusal(own("none")), "mount point " + own("none") + " does not exist");
  EXPECT_EQ(refusal(own("none/deeper")), "mount point " + own("none/deeper") + " does not exist");
  std::ofstream(own("file")) << "x";
  EXPECT_EQ(refusal(own("file")), "mount point " + own("file") + " is not a folder");
  EXPECT_EQ(refusal(folder_),
            "mount point " + folder_ + " is not empty (fuse.allow_nonempty = true mounts over it)");
  EXPECT_EQ(refusal("/"), "mount point / is the root folder");
}

TEST_F(FuseMount, mounts_over_a_folder_with_something_in_it_when_asked_to) {
  std::ofstream(point_ + "/covered") << "x";
  FuseOptions options;
  options.allow_nonempty = true;
  mount(options);
  EXPECT_EQ(failure_of(access(path("covered").c_str(), F_OK)), ENOENT);
  EXPECT_EQ(failure_of(access(path("d").c_str(), F_OK)), 0);
}

TEST_F(FuseMount, refuses_a_mount_point_in_use_and_leaves_it_alone) {
  mount();
  EXPECT_EQ(refusal(point_),
            "mount point " + point_ + " is in use: 'ukai' of type fuse.ukai is mounted there");
  EXPECT_EQ(failure_of(access(path("d").c_str(), F_OK)), 0);
}

TEST_F(FuseMount, takes_a_path_with_blanks_and_a_slash_at_its_end) {
  const std::string odd = own("odd folder\\x");
  ASSERT_EQ(mkdir(odd.c_str(), 0755), 0);
  FuseOptions options;
  options.mount_point = odd + "/";
  auto session = FuseSession::mount(options, *disks_, reactor_, nullptr);
  ASSERT_TRUE(session.ok()) << session.error().what;
  EXPECT_EQ((*session)->mount_point(), odd);
  EXPECT_EQ(refusal(odd).substr(0, 12), "mount point ");
}

TEST_F(FuseMount, has_the_type_that_was_asked_for) {
  FuseOptions options;
  options.subtype = "glusterfs";
  mount(options);
  EXPECT_EQ(run("test \"$(findmnt -n -o FSTYPE,SOURCE $M | tr -s ' ')\" = 'fuse.glusterfs ukai'"),
            0);
}

TEST_F(FuseMount, unmounts_and_leaves_an_ordinary_folder) {
  mount();
  session_->unmount();
  session_->unmount();
  EXPECT_FALSE(is_mounted());
  session_.reset();
  EXPECT_EQ(rmdir(point_.c_str()), 0);
}

TEST_F(FuseMount, goes_from_view_while_a_file_is_open) {
  mount();
  File file(path("d"), O_RDWR);
  ASSERT_GE(*file, 0);
  session_->unmount();
  EXPECT_FALSE(is_mounted());
  session_.reset();
  char byte = 0;
  EXPECT_NE(failure_of(pread(*file, &byte, 1, 0)), 0);
}

TEST_F(FuseMount, tells_when_somebody_else_unmounts_it) {
  FuseOptions options;
  options.mount_point = point_;
  options.threads = 2;
  OneShot<bool> gone;
  auto session = FuseSession::mount(options, *disks_, reactor_, [gone] { gone.resolve(true); });
  ASSERT_TRUE(session.ok());
  ASSERT_EQ(failure_of(access(path("d").c_str(), F_OK)), 0);
  ASSERT_EQ(umount2(point_.c_str(), 0), 0);
  const auto wait = [](OneShot<bool> shot) -> Task<bool> { co_return co_await shot; };
  EXPECT_TRUE(sync_wait(wait(gone)));
}

TEST_F(FuseMount, removes_the_mount_of_a_daemon_that_was_killed) {
  // What its death leaves is a mount whose device nobody has open any more.
  const auto device = fuse::mount_device(point_, FuseOptions());
  ASSERT_TRUE(device.ok()) << device.error().what;
  ::close(*device);
  struct stat found {};
  ASSERT_EQ(failure_of(stat(point_.c_str(), &found)), ENOTCONN);
  mount();
  EXPECT_EQ(failure_of(access(path("d").c_str(), F_OK)), 0);
}

TEST_F(FuseMount, leaves_the_mount_of_something_else_alone) {
  ASSERT_EQ(::mount("none", point_.c_str(), "tmpfs", 0, "size=64k"), 0);
  EXPECT_EQ(refusal(point_),
            "mount point " + point_ + " is in use: 'none' of type tmpfs is mounted there");
  EXPECT_EQ(umount2(point_.c_str(), 0), 0);
}

TEST_F(FuseMount, finds_mounts_in_mountinfo) {
  const std::string text =
      "36 35 98:0 / /mnt rw,noatime master:1 - ext4 /dev/sda rw\n"
      "37 36 0:55 / /mnt/a\\040b rw shared:2 master:1 - fuse.ukai ukai rw,user_id=0\n"
      "38 36 0:56 / /mnt rw - tmpfs none rw\n";
  EXPECT_EQ(fuse::find_mount(text, "/mnt/a b").type, "fuse.ukai");
  EXPECT_EQ(fuse::find_mount(text, "/mnt/a b").source, "ukai");
  EXPECT_EQ(fuse::find_mount(text, "/mnt").type, "tmpfs");
  EXPECT_EQ(fuse::find_mount(text, "/").type, "");
}

}  // namespace
}  // namespace ukai
