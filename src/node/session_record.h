// SPDX-License-Identifier: BSD-2-Clause
#pragma once

#include <string>
#include <string_view>
#include <vector>

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

  /// All blocks here have lost their location, and no holder has come since.
  bool left = false;

  // What the holder said of the disk; for the day when the metadata are lost. Files of older
  // versions lack it.
  std::string name;
  std::uint64_t size_bytes = 0;
  std::vector<std::string> members;

  static Result<SessionRecord> decode(std::string_view text, std::string_view path);
  std::string encode() const;
};

}  // namespace ukai
