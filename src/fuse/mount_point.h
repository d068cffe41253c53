// SPDX-License-Identifier: BSD-2-Clause
#pragma once

#include <string>

#include "fuse/fuse_options.h"
#include "ukai/result.h"

namespace ukai::fuse {

/// What is mounted at a folder, from /proc/self/mountinfo text.
struct MountEntry {
  std::string type;    ///< "fuse.ukai"; empty: nothing is mounted there
  std::string source;  ///< "ukai"
};
MountEntry find_mount(const std::string& mountinfo, const std::string& path);

/// The name under which our mounts appear in df and /proc/mounts.
inline constexpr const char* mount_source = "ukai";

/// Makes `path` fit to be mounted on and returns it absolute. A mount left there by a ukaid that
/// was killed ("Transport endpoint is not connected") is taken away first. invalid: it does not
/// exist, is no folder, is not empty (unless `allow_nonempty`), FUSE is not there; busy: something
/// is mounted on it. The message is one clear line.
Result<std::string> prepare_mount_point(const std::string& path, bool allow_nonempty);

/// Mounts at `path` and returns the descriptor of /dev/fuse that serves it; closing it ends the
/// mount. invalid: the kernel refuses, or FUSE is not there.
Result<int> mount_device(const std::string& path, const FuseOptions& options);

/// True when the daemon behind the mount at `path` is gone.
bool is_dead_mount(const std::string& path);

/// Takes the mount at `path` away: at once if nobody uses it, else from view (what is open stays
/// usable while the daemon lives). Not an error when nothing is mounted there.
Result<> take_mount_away(const std::string& path);

}  // namespace ukai::fuse
