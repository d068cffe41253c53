// SPDX-License-Identifier: BSD-2-Clause
#include "ukai/result.h"

namespace ukai {

std::string_view to_string(Code code) {
  switch (code) {
    case Code::invalid:
      return "invalid";
    case Code::not_found:
      return "not_found";
    case Code::exists:
      return "exists";
    case Code::busy:
      return "busy";
    case Code::no_space:
      return "no_space";
    case Code::unreachable:
      return "unreachable";
    case Code::unknown:
      return "unknown";
    case Code::refused:
      return "refused";
    case Code::stale:
      return "stale";
    case Code::not_admitted:
      return "not_admitted";
    case Code::corrupt:
      return "corrupt";
    case Code::io:
      return "io";
    case Code::shut_down:
      return "shut_down";
  }
  return "io";
}

std::optional<Code> code_named(std::string_view name) {
  for (int i = 0; i <= static_cast<int>(Code::shut_down); ++i) {
    const auto code = static_cast<Code>(i);
    if (to_string(code) == name) return code;
  }
  return std::nullopt;
}

}  // namespace ukai
