// SPDX-License-Identifier: BSD-2-Clause
#pragma once

#include <sys/types.h>

#include <string>

namespace ukai {

/// How the disks are shown; from [host] and [fuse] of the configuration.
struct FuseOptions {
  std::string mount_point;
  std::string subtype = "ukai";  ///< the mount's type is fuse.<subtype>
  bool allow_other = true;       ///< users other than ukaid's own may look (file modes permitting)
  bool default_permissions = true;  ///< the kernel checks owner and mode
  bool allow_nonempty = false;      ///< mount over a folder that holds something
  bool kernel_cache = false;        ///< page cache instead of direct I/O: one host only
  bool list_snapshots = false;  ///< the listing has NAME@SNAPSHOT, too; they open without as well
  uid_t uid = 0;
  gid_t gid = 0;
  mode_t mode = 0600;
  unsigned max_background = 64;  ///< asynchronous requests the kernel keeps in flight
  unsigned threads = 1;          ///< that read requests; replies leave from completing threads
};

}  // namespace ukai
