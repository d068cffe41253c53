// SPDX-License-Identifier: BSD-2-Clause
#include "base/text.h"

namespace ukai {

std::string printable(std::string_view text) {
  std::string out;
  for (char c : text.substr(0, 64)) out += (c >= 0x20 && c < 0x7f) ? c : '?';
  if (text.size() > 64) out += "…";
  return out;
}

}  // namespace ukai
