// SPDX-License-Identifier: BSD-2-Clause
#include "ctl/map_bars.h"

#include <fmt/format.h>

#include <algorithm>
#include <set>

#include "ukai/site_path.h"

namespace ukai::ctl {
namespace {

/// Of one part of the disk, at one place.
struct Cell {
  std::uint64_t in_sync = 0;
  std::uint64_t behind = 0;
};

using Cells = std::map<std::string, std::vector<Cell>, SiteOrder>;  ///< by place
using SiteOfNode = std::map<std::string, std::string>;

/// "jp/tokyo" -> {"jp", "jp/tokyo"}.
std::vector<std::string> with_areas(const std::string& site) {
  std::vector<std::string> out;
  for (const std::string_view part : site_components(site)) {
    out.push_back(out.empty() ? std::string(part) : fmt::format("{}/{}", out.back(), part));
  }
  return out;
}

/// The areas that get a bar: where nodes stand, and what has several such directly within.
std::set<std::string> areas_shown(const SiteOfNode& site_of_node) {
  std::map<std::string, std::set<std::string>> within;
  std::set<std::string> out;
  for (const auto& [node, site] : site_of_node) {
    const auto areas = with_areas(site);
    if (!areas.empty()) out.insert(areas.back());
    for (std::size_t i = 1; i < areas.size(); ++i) within[areas[i - 1]].insert(areas[i]);
  }
  for (const auto& [area, parts] : within) {
    if (parts.size() > 1) out.insert(area);
  }
  return out;
}

/// How many numbers of [begin, end) leave `rest` when divided by `cycle`.
std::uint64_t count_of_rest(std::uint64_t begin, std::uint64_t end, std::uint64_t rest,
                            std::uint64_t cycle) {
  const auto below = [&](std::uint64_t limit) {
    return limit / cycle + (limit % cycle > rest ? 1 : 0);
  };
  return below(end) - below(begin);
}

/// Adds `count` blocks with these replicas to the cell; an area has a block as soon as one of its
/// nodes does.
void add(Cells& nodes, Cells& areas, const Replicas& replicas, const SiteOfNode& site_of_node,
         std::size_t cell, std::uint64_t count) {
  std::map<std::string, bool> in_area;
  for (const Replica& replica : replicas) {
    const bool good = replica.status == 'Y';
    Cell& of_node = nodes.at(replica.node)[cell];
    (good ? of_node.in_sync : of_node.behind) += count;
    const auto site = site_of_node.find(replica.node);
    if (site == site_of_node.end()) continue;
    for (const std::string& area : with_areas(site->second)) {
      if (areas.contains(area)) in_area[area] = in_area[area] || good;
    }
  }
  for (const auto& [area, good] : in_area) {
    Cell& of_area = areas.at(area)[cell];
    (good ? of_area.in_sync : of_area.behind) += count;
  }
}

char letter(const Cell& cell, std::uint64_t blocks) {
  if (cell.in_sync == blocks) return '#';
  if (cell.in_sync > 0) return '+';
  return cell.behind > 0 ? '!' : '.';
}

void draw(const Cells& places, const std::vector<std::uint64_t>& borders,
          std::vector<MapBar>& out) {
  for (const auto& [name, cells] : places) {
    MapBar bar;
    bar.name = name;
    for (std::size_t i = 0; i < cells.size(); ++i) {
      bar.cells += letter(cells[i], borders[i + 1] - borders[i]);
      bar.in_sync += cells[i].in_sync;
    }
    out.push_back(std::move(bar));
  }
}

std::string coloured(const std::string& cells) {
  std::string out;
  char last = 0;
  for (const char cell : cells) {
    if (cell != last) {
      const int code = cell == '#' ? 32 : cell == '+' ? 33 : cell == '!' ? 31 : 90;
      out += fmt::format("\x1b[{}m", code);
      last = cell;
    }
    out += cell;
  }
  return out + "\x1b[0m";
}

}  // namespace

std::vector<MapBar> map_bars(const std::vector<MapRow>& rows, const SiteOfNode& site_of_node,
                             std::size_t cells_max) {
  if (rows.empty()) return {};
  // 1. The parts of the disk, and the places there are.
  const std::uint64_t begin = raw(rows.front().blocks.begin);
  const std::uint64_t count = raw(rows.back().blocks.end) - begin;
  const std::size_t cells = std::min<std::size_t>(cells_max, count);
  std::vector<std::uint64_t> borders;
  for (std::size_t i = 0; i <= cells; ++i) borders.push_back(begin + count * i / cells);
  Cells nodes;
  SiteOfNode sites;  // of these
  for (const MapRow& row : rows) {
    for (const Replicas& replicas : row.cycle) {
      for (const Replica& replica : replicas) {
        nodes[replica.node].resize(cells);
        const auto site = site_of_node.find(replica.node);
        if (site != site_of_node.end()) sites.insert(*site);
      }
    }
  }
  Cells areas;
  for (const std::string& area : areas_shown(sites)) areas[area].resize(cells);
  // 2. Each row, as far as it lies in each part.
  for (const MapRow& row : rows) {
    const std::uint64_t first = raw(row.blocks.begin);
    const std::uint64_t end = raw(row.blocks.end);
    auto cell = static_cast<std::size_t>(std::upper_bound(borders.begin(), borders.end(), first) -
                                         borders.begin() - 1);
    for (; cell < cells && borders[cell] < end; ++cell) {
      const std::uint64_t from = std::max(borders[cell], first) - first;
      const std::uint64_t to = std::min(borders[cell + 1], end) - first;
      for (std::size_t i = 0; i < row.cycle.size(); ++i) {
        const std::uint64_t blocks = count_of_rest(from, to, i, row.cycle.size());
        if (blocks > 0) add(nodes, areas, row.cycle[i], sites, cell, blocks);
      }
    }
  }
  std::vector<MapBar> out;
  draw(nodes, borders, out);
  draw(areas, borders, out);
  return out;
}

std::string map_bars_text(const std::vector<MapBar>& bars, std::uint64_t blocks, bool colour) {
  std::size_t width = 0;
  for (const MapBar& bar : bars) width = std::max(width, bar.name.size());
  std::string out;
  for (const MapBar& bar : bars) {
    const std::uint64_t percent = blocks == 0 ? 100 : bar.in_sync * 100 / blocks;
    out += fmt::format("{:{}}  [{}] {:3}%\n", bar.name, width,
                       colour ? coloured(bar.cells) : bar.cells, percent);
  }
  return out;
}

}  // namespace ukai::ctl
