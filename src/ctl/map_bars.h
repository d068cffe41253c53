// SPDX-License-Identifier: BSD-2-Clause
#pragma once

#include <map>
#include <string>
#include <vector>

#include "ctl/map_rows.h"

namespace ukai::ctl {

/// Where the blocks of a disk lie, drawn: one bar a node, and one a site, whose cells stand for
/// equal parts of the disk. '#' all of the part is in sync there, '+' some of it, '!' nothing in
/// sync yet, '.' nothing.
struct MapBar {
  std::string name;
  std::string cells;
  std::uint64_t in_sync = 0;  ///< blocks
};

/// Bars of the nodes that rows name, in order of their ids, then of the sites of these, if there
/// are any, as a tree is walked: "jp" before "jp/osaka" and "jp/tokyo", unless it had just one of
/// them. `rows` are in order and without gaps. Pure.
std::vector<MapBar> map_bars(const std::vector<MapRow>& rows,
                             const std::map<std::string, std::string>& site_of_node,
                             std::size_t cells_max);

/// Lines "n1        [####....]  50%". Coloured: green, yellow, red.
std::string map_bars_text(const std::vector<MapBar>& bars, std::uint64_t blocks, bool colour);

}  // namespace ukai::ctl
