// SPDX-License-Identifier: BSD-2-Clause
#include "ctl/heat.h"

#include <fmt/format.h>

#include <algorithm>

#include "ctl/table.h"

namespace ukai::ctl {
namespace {

constexpr std::string_view shades = "_-=#";
constexpr std::size_t hottest_shown = 5;

std::uint64_t requests(const pb::RangeCount& range) { return range.reads() + range.writes(); }

template <class Count>
std::string bar(const HostHeat& heat, std::uint64_t blocks, std::size_t cells, const Count& count) {
  std::vector<std::uint64_t> sums(std::min<std::size_t>(cells, std::max<std::uint64_t>(blocks, 1)));
  for (const pb::RangeCount& range : heat.ranges) {
    const std::uint64_t begin = range.range() * heat.range_blocks;
    if (begin < blocks) sums[begin * sums.size() / blocks] += count(range);
  }
  const std::uint64_t most = *std::max_element(sums.begin(), sums.end());
  std::string out;
  for (const std::uint64_t sum : sums) {
    out += sum == 0 ? '.' : shades[(sum * shades.size() - 1) / std::max<std::uint64_t>(most, 1)];
  }
  return out;
}

struct Hot {
  std::uint64_t requests = 0;
  std::string host;
  BlockRange blocks;
};

std::vector<Hot> hottest(const std::vector<HostHeat>& heats, std::uint64_t blocks) {
  std::vector<Hot> out;
  for (const HostHeat& heat : heats) {
    for (const pb::RangeCount& range : heat.ranges) {
      const BlockRange where = blocks_of(heat, range, blocks);
      if (where.count() > 0) out.push_back({requests(range), heat.host, where});
    }
  }
  std::stable_sort(out.begin(), out.end(),
                   [](const Hot& a, const Hot& b) { return a.requests > b.requests; });
  if (out.size() > hottest_shown) out.resize(hottest_shown);
  return out;
}

}  // namespace

BlockRange blocks_of(const HostHeat& heat, const pb::RangeCount& range, std::uint64_t blocks) {
  const std::uint64_t begin = range.range() * heat.range_blocks;
  return {BlockIndex{std::min(begin, blocks)},
          BlockIndex{std::min(begin + heat.range_blocks, blocks)}};
}

std::string blocks_text(BlockRange blocks) {
  const std::uint64_t first = raw(blocks.begin);
  const std::uint64_t last = raw(blocks.end) - 1;
  return first == last ? std::to_string(first) : fmt::format("{}-{}", first, last);
}

std::string silent_hosts_text(const std::vector<HostHeat>& heats) {
  std::string names;
  for (const HostHeat& heat : heats) {
    if (!heat.answered) names += (names.empty() ? "" : ", ") + heat.host;
  }
  if (names.empty()) return "";
  return fmt::format("(no answer from {}: what it uses is not known)\n", names);
}

std::string heat_text(const std::vector<HostHeat>& heats, std::uint64_t blocks, std::size_t cells) {
  std::string out;
  std::size_t width = 0;
  for (const HostHeat& heat : heats) width = std::max(width, heat.host.size());
  for (const HostHeat& heat : heats) {
    if (heat.ranges.empty()) continue;
    const auto line = [&](const char* what, const auto& count) {
      out += fmt::format("{:{}}  {:6}  [{}]\n", heat.host, width, what,
                         bar(heat, blocks, cells, count));
    };
    line("reads", [](const pb::RangeCount& range) { return range.reads(); });
    line("writes", [](const pb::RangeCount& range) { return range.writes(); });
  }
  if (out.empty()) return out;
  std::uint64_t all = 0;
  for (const HostHeat& heat : heats) {
    for (const pb::RangeCount& range : heat.ranges) all += requests(range);
  }
  Table table({"HOTTEST BLOCKS", "HOST", ">REQUESTS", ">SHARE"});
  for (const Hot& hot : hottest(heats, blocks)) {
    table.add_row({blocks_text(hot.blocks), hot.host, std::to_string(hot.requests),
                   fmt::format("{}%", hot.requests * 100 / all)});
  }
  return out + "\n" + table.text();
}

}  // namespace ukai::ctl
