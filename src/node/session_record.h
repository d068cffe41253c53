// SPDX-License-Identifier: BSD-2-Clause
#pragma once

#include <string>
#include <string_view>

#include "ukai/types.h"

namespace ukai {

/// What a node durably knows of the newest session of one disk: the file "session".
struct SessionRecord {
  Epoch epoch{};
  Session session{};
  Generation generation{1};   ///< the largest that was seen
  std::string boot_id;        ///< of the boot that this session was opened under
  bool crashed = false;       ///< the machine crashed with active blocks; until they are cleaned
  bool flush_failed = false;  ///< on this boot: the page cache may hold what the medium lacks

  static Result<SessionRecord> decode(std::string_view text, std::string_view path);
  std::string encode() const;
};

}  // namespace ukai
