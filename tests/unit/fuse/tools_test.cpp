// SPDX-License-Identifier: BSD-2-Clause
// What people point at a disk file: dd, cp, qemu-img, fio, a loop device's file system.
#include <fstream>

#include "unit/fuse/mounted.h"

namespace ukai {
namespace {

class FuseTools : public Mounted {
 protected:
  void SetUp() override {
    Mounted::SetUp();
    mount();
    data_ = pattern(size_bytes, 3);
    data_.replace(1U << 20, 2U << 20, 2U << 20, '\0');  // with a hole
    std::ofstream(own("source"), std::ios::binary) << data_;
  }
  bool disk_is_source() { return cluster_.contents("d", 0, size_bytes) == data_; }

  std::string data_;
};

TEST_F(FuseTools, dd_direct_and_buffered_both_ways) {
  ASSERT_EQ(run("dd if=$T/source of=$M/d bs=1M oflag=direct status=none"), 0);
  EXPECT_TRUE(disk_is_source());
  ASSERT_EQ(run("dd if=$M/d of=$T/back bs=64k iflag=direct status=none && cmp $T/source $T/back"),
            0);
  ASSERT_EQ(run("dd if=/dev/zero of=$M/d bs=3000 count=100 conv=notrunc,fsync status=none"), 0);
  data_.replace(0, 300000, 300000, '\0');
  EXPECT_TRUE(disk_is_source());
  EXPECT_NE(run("dd if=/dev/zero of=$M/d bs=1M 2>/dev/null"), 0) << "it ends where the disk ends";
}

TEST_F(FuseTools, cp_both_ways) {
  ASSERT_EQ(run("cp $T/source $M/d"), 0);
  EXPECT_TRUE(disk_is_source());
  ASSERT_EQ(run("cp --sparse=always $M/d $T/back && cmp $T/source $T/back"), 0);
  ASSERT_EQ(run("tar -C $M -S -cf $T/tar d && mkdir $T/x && tar -C $T/x -xf $T/tar && cmp "
                "$T/source $T/x/d"),
            0);
}

TEST_F(FuseTools, qemu_img_converts_maps_and_compares) {
  ASSERT_EQ(run("qemu-img convert -n -f raw -O raw $T/source $M/d"), 0);
  EXPECT_TRUE(disk_is_source());
  EXPECT_GE(cluster_.flushes, 1U) << "convert -n does not fsync; closing must do";
  ASSERT_EQ(run("qemu-img convert -t none -n -f raw -O raw $T/source $M/d"), 0);
  ASSERT_EQ(run("qemu-img compare -f raw -F raw $T/source $M/d >/dev/null"), 0);
  ASSERT_EQ(run("qemu-img map -f raw --output=json $M/d | grep -q '\"data\": false'"), 0);
  ASSERT_EQ(run("qemu-img convert -T none -f raw -O qcow2 $M/d $T/back.qcow2 && qemu-img compare "
                "$T/back.qcow2 -F raw $M/d >/dev/null"),
            0);
  ASSERT_EQ(run("qemu-img convert -f raw -O raw $T/source $M/d"), 0) << "without -n: truncates";
  EXPECT_TRUE(disk_is_source());
}

TEST_F(FuseTools, fio_verifies_at_depth) {
  for (const char* engine : {"libaio", "io_uring", "psync"}) {
    EXPECT_EQ(
        run(std::string("fio --name=v --filename=$M/d --direct=1 --rw=randwrite --bsrange=512-64k "
                        "--blockalign=512 --size=8m --io_size=4m --iodepth=16 --verify=crc32c "
                        "--verify_fatal=1 --allow_file_create=0 --ioengine=") +
            engine + " >$T/fio.log 2>&1 || { cat $T/fio.log; false; }"),
        0)
        << engine;
  }
}

TEST_F(FuseTools, holds_a_file_system_through_a_loop_device) {
  cluster_.create("big", 32U << 20);
  ASSERT_EQ(run("mkfs.ext4 -q $M/big && mkdir $T/fs && mount -o loop $M/big $T/fs && cp $T/source "
                "$T/fs/ && umount $T/fs && e2fsck -fn $M/big >/dev/null 2>&1 && mount -o loop,ro "
                "$M/big $T/fs && cmp $T/source $T/fs/source; r=$?; umount $T/fs; exit $r"),
            0);
}

}  // namespace
}  // namespace ukai
