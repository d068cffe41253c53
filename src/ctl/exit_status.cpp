// SPDX-License-Identifier: BSD-2-Clause
#include "ctl/exit_status.h"

namespace ukai::ctl {

ExitStatus exit_status(Code code) {
  switch (code) {
    case Code::invalid:
      return ExitStatus::usage;
    case Code::not_found:
      return ExitStatus::not_found;
    case Code::exists:
      return ExitStatus::exists;
    case Code::busy:
    case Code::stale:  // somebody else changed or took it meanwhile
      return ExitStatus::busy;
    case Code::no_space:
      return ExitStatus::no_space;
    case Code::unreachable:
    case Code::unknown:
    case Code::shut_down:
      return ExitStatus::unreachable;
    case Code::refused:
      return ExitStatus::refused;
    case Code::not_admitted:
    case Code::corrupt:
    case Code::io:
      return ExitStatus::failed;
  }
  return ExitStatus::failed;
}

}  // namespace ukai::ctl
