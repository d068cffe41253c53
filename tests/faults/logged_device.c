// SPDX-License-Identifier: BSD-2-Clause
//
// One file, "disk", that keeps what CONTENT holds and notes each write and each flush in LOG, in the
// order in which they took effect: one request at a time.
//
//   logged_device CONTENT LOG MOUNT_POINT     until it is unmounted or told to end
//
// LOG is a row of {offset, size, flush}, 8 bytes each in the machine's order, and what was written
// right behind each.
#define FUSE_USE_VERSION 31
#include <errno.h>
#include <fcntl.h>
#include <fuse.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static const char path_of_disk[] = "/disk";
static int content;
static int record;

static int note(uint64_t offset, uint64_t size, uint64_t flush, const char* data) {
  const uint64_t head[3] = {offset, size, flush};
  if (write(record, head, sizeof head) != (ssize_t)sizeof head) return -EIO;
  if (size > 0 && write(record, data, size) != (ssize_t)size) return -EIO;
  return 0;
}

static int device_getattr(const char* path, struct stat* out, struct fuse_file_info* info) {
  (void)info;
  memset(out, 0, sizeof *out);
  if (strcmp(path, "/") == 0) {
    out->st_mode = S_IFDIR | 0755;
    out->st_nlink = 2;
    return 0;
  }
  if (strcmp(path, path_of_disk) != 0) return -ENOENT;
  struct stat real;
  if (fstat(content, &real) != 0) return -errno;
  out->st_mode = S_IFREG | 0600;
  out->st_nlink = 1;
  out->st_size = real.st_size;
  return 0;
}

static int device_open(const char* path, struct fuse_file_info* info) {
  if (strcmp(path, path_of_disk) != 0) return -ENOENT;
  info->direct_io = 1;
  return 0;
}

static int device_read(const char* path, char* to, size_t size, off_t at,
                       struct fuse_file_info* info) {
  (void)path, (void)info;
  const ssize_t got = pread(content, to, size, at);
  return got < 0 ? -errno : (int)got;
}

static int device_write(const char* path, const char* from, size_t size, off_t at,
                        struct fuse_file_info* info) {
  (void)path, (void)info;
  const int noted = note((uint64_t)at, size, 0, from);
  if (noted != 0) return noted;
  const ssize_t put = pwrite(content, from, size, at);
  return put < 0 ? -errno : (int)put;
}

static int device_fsync(const char* path, int data_only, struct fuse_file_info* info) {
  (void)path, (void)data_only, (void)info;
  return note(0, 0, 1, NULL);
}

int main(int count, char** arguments) {
  if (count != 4) {
    fprintf(stderr, "usage: logged_device CONTENT LOG MOUNT_POINT\n");
    return 2;
  }
  content = open(arguments[1], O_RDWR | O_CLOEXEC);
  record = open(arguments[2], O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600);
  if (content < 0 || record < 0) {
    perror("logged_device");
    return 1;
  }
  const struct fuse_operations operations = {
      .getattr = device_getattr,
      .open = device_open,
      .read = device_read,
      .write = device_write,
      .fsync = device_fsync,
  };
  char* options[] = {arguments[0], "-f", "-s", arguments[3]};
  return fuse_main(4, options, &operations, NULL);
}
