// SPDX-License-Identifier: BSD-2-Clause
#include <fmt/format.h>

#include <map>
#include <set>

#include "ctl/disk_view.h"
#include "ctl/table.h"

namespace ukai::ctl {
namespace {

using Sizes = google::protobuf::Map<std::uint32_t, std::uint64_t>;

std::uint64_t count_at(const Sizes& sizes, std::uint32_t index) {
  const auto found = sizes.find(index);
  return found == sizes.end() ? 0 : found->second;
}

std::string histogram_text(const pb::DiskCounters& counters) {
  std::set<std::uint32_t> indices;
  for (const auto* sizes : {&counters.read_sizes(), &counters.write_sizes()}) {
    for (const auto& [index, count] : *sizes) indices.insert(index);
  }
  if (indices.empty()) return "";
  Table table({">REQUEST BYTES", ">READS", ">WRITES"});
  for (const std::uint32_t index : indices) {
    table.add_row({std::to_string(index * histogram_unit_bytes),
                   std::to_string(count_at(counters.read_sizes(), index)),
                   std::to_string(count_at(counters.write_sizes(), index))});
  }
  return "\n" + table.text();
}

}  // namespace

std::string disk_stats_text(const std::string& name, const std::string& host,
                            const std::optional<pb::DiskStatusInfo>& status) {
  if (!status) return fmt::format("no host holds disk {}: there are no totals of it\n", name);
  const pb::DiskCounters& counters = status->counters();
  auto bytes = [](std::uint64_t count) {
    return fmt::format("{} ({})", count, format_size(count));
  };
  Properties text;
  text.add("disk", name);
  text.add("host", host);
  text.add("reads", std::to_string(counters.reads()));
  text.add("hedged reads", std::to_string(counters.hedged_reads()));
  text.add("writes", std::to_string(counters.writes()));
  text.add("flushes", std::to_string(counters.flushes()));
  text.add("discards", std::to_string(counters.discards()));
  text.add("bytes read", bytes(counters.read_bytes()));
  text.add("bytes written", bytes(counters.written_bytes()));
  text.add("read errors", std::to_string(counters.read_errors()));
  text.add("write errors", std::to_string(counters.write_errors()));
  text.add("blocks healed", std::to_string(counters.healed_blocks()));
  text.add("bytes healed", bytes(counters.healed_bytes()));
  text.add("units damaged", std::to_string(counters.damaged_units()));
  text.add("units repaired", std::to_string(counters.repaired_units()));
  return text.text() + histogram_text(counters);
}

}  // namespace ukai::ctl
