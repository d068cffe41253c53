// SPDX-License-Identifier: BSD-2-Clause
#include "fuse/errno_map.h"

#include <cerrno>

namespace ukai {

int errno_of(Code code) {
  switch (code) {
    case Code::invalid:
      return EINVAL;
    case Code::not_found:
      return ENOENT;
    case Code::exists:
      return EEXIST;
    case Code::busy:
      return EBUSY;
    case Code::no_space:
      return ENOSPC;
    case Code::refused:
      return EACCES;
    // A guest knows only one word for "the device did not do it"; the log has the reason.
    case Code::unreachable:
    case Code::unknown:
    case Code::stale:
    case Code::not_admitted:
    case Code::corrupt:
    case Code::io:
    case Code::shut_down:
      return EIO;
  }
  return EIO;
}

}  // namespace ukai
