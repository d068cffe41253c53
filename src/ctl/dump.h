// SPDX-License-Identifier: BSD-2-Clause
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "ukai/result.h"

namespace ukai::ctl {

/// One lasting znode. A folder has no data.
struct DumpRecord {
  std::string path;
  std::string data;
};

/// All lasting records of a cluster, folders before what lies in them.
struct Dump {
  std::uint64_t unix_s = 0;
  std::vector<DumpRecord> records;
};

/// As the documented JSON (docs/metadata-layout.md). Records that this version does not understand
/// whole are kept byte for byte.
std::string dump_text(const Dump& dump);
/// The opposite. invalid: no dump, or of a newer version; the message says what is wrong where.
Result<Dump> parse_dump(std::string_view text);

struct DumpCounts {
  std::uint64_t disks = 0;
  std::uint64_t nodes = 0;
};
/// Whether a cluster can be made from it: each name has its disk, each disk its whole map.
/// corrupt otherwise, with the first thing that is wrong.
Result<DumpCounts> check_dump(const Dump& dump);

/// Above any number of grants between a dump, or a node's last session, and its return; 2^64 is
/// far.
inline constexpr std::uint64_t epoch_step = 1'000'000'000;
/// Raises the epochs of all disks, so that nodes take the next holder's for newer than any that was
/// granted after the dump; and marks them as unproven: a member that is present in the dump may
/// have gone missing since, and the other way round.
Result<> distrust(Dump& dump);

std::string load_json(const DumpCounts& counts);

}  // namespace ukai::ctl
