// SPDX-License-Identifier: BSD-2-Clause
#pragma once

#include <string>
#include <vector>

#include "ukai/types.h"
#include "ukai_host.pb.h"

/// Which parts of a disk are used from where; no I/O.
namespace ukai::ctl {

/// What one host has counted of the disk since it has had it.
struct HostHeat {
  std::string host;
  std::string site;
  bool answered = true;  ///< else nothing is known of it
  std::uint64_t range_blocks = 1;
  std::vector<pb::RangeCount> ranges;  ///< by number
};

/// The blocks of a disk of `blocks` that the host counts as one range.
BlockRange blocks_of(const HostHeat& heat, const pb::RangeCount& range, std::uint64_t blocks);

/// "7", "0-9".
std::string blocks_text(BlockRange blocks);

/// Hosts of which nothing is known, in one line; empty if there are none.
std::string silent_hosts_text(const std::vector<HostHeat>& heats);

/// A bar of `cells` for reads and one for writes a host: '.' nothing, then "_-=#" the more the
/// hotter, within that bar. Then the hottest parts of all, with their share of all requests.
/// Empty: nobody has used it.
std::string heat_text(const std::vector<HostHeat>& heats, std::uint64_t blocks, std::size_t cells);

}  // namespace ukai::ctl
