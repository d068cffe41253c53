// SPDX-License-Identifier: BSD-2-Clause
//
// A bad disk for one process: LD_PRELOAD it, and requests to files below $UKAI_TROUBLE_STORE fail or
// are slow as the file $UKAI_TROUBLE says, which may change at any time. Its words:
//
//   read-eio write-eio flush-eio   these requests fail with EIO, and nothing is done
//   slow=MS                        one request at a time, each takes that long (a disk of 1000/MS
//                                  requests a second)
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <time.h>
#include <unistd.h>

static pthread_mutex_t arm = PTHREAD_MUTEX_INITIALIZER;

// Is the file one of the store's?
static int concerned(int fd) {
  const char* store = getenv("UKAI_TROUBLE_STORE");
  char link[64];
  char path[4096];
  if (store == NULL) return 0;
  snprintf(link, sizeof link, "/proc/self/fd/%d", fd);
  const ssize_t length = readlink(link, path, sizeof path - 1);
  if (length <= 0) return 0;
  path[length] = '\0';
  return strncmp(path, store, strlen(store)) == 0;
}

// 0, or the error that the request ends with.
static int suffer(int fd, const char* kind) {
  const char* file = getenv("UKAI_TROUBLE");
  char words[256] = "";
  if (file == NULL || !concerned(fd)) return 0;
  // By system calls: open() and read() of this library would come back here.
  const int control = (int)syscall(SYS_openat, AT_FDCWD, file, O_RDONLY | O_CLOEXEC);
  if (control < 0) return 0;
  if (syscall(SYS_read, control, words, sizeof words - 1) < 0) words[0] = '\0';
  syscall(SYS_close, control);
  const char* slow = strstr(words, "slow=");
  if (slow != NULL) {
    const long ms = strtol(slow + strlen("slow="), NULL, 10);
    const struct timespec pause = {ms / 1000, ms % 1000 * 1000000};
    pthread_mutex_lock(&arm);
    nanosleep(&pause, NULL);
    pthread_mutex_unlock(&arm);
  }
  if (strstr(words, kind) == NULL) return 0;
  errno = EIO;
  return -1;
}

#define REAL(name) ((__typeof__(&name))dlsym(RTLD_NEXT, #name))

ssize_t pread(int fd, void* to, size_t size, off_t at) {
  if (suffer(fd, "read-eio") != 0) return -1;
  return REAL(pread)(fd, to, size, at);
}

ssize_t preadv2(int fd, const struct iovec* to, int count, off_t at, int flags) {
  if (suffer(fd, "read-eio") != 0) return -1;
  return REAL(preadv2)(fd, to, count, at, flags);
}

ssize_t pwrite(int fd, const void* from, size_t size, off_t at) {
  if (suffer(fd, "write-eio") != 0) return -1;
  return REAL(pwrite)(fd, from, size, at);
}

ssize_t pwritev(int fd, const struct iovec* from, int count, off_t at) {
  if (suffer(fd, "write-eio") != 0) return -1;
  return REAL(pwritev)(fd, from, count, at);
}

int fdatasync(int fd) {
  if (suffer(fd, "flush-eio") != 0) return -1;
  return REAL(fdatasync)(fd);
}

int fsync(int fd) {
  if (suffer(fd, "flush-eio") != 0) return -1;
  return REAL(fsync)(fd);
}

int syncfs(int fd) {
  if (suffer(fd, "flush-eio") != 0) return -1;
  return REAL(syncfs)(fd);
}
