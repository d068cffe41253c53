// SPDX-License-Identifier: BSD-2-Clause
#include "ctl/lookup.h"

#include <fmt/format.h>

#include <algorithm>
#include <set>

#include "ukai/location_change.h"

namespace ukai::ctl {
namespace {

// As many disks are read at once as ZooKeeper takes requests before it slows a client down.
constexpr std::size_t disks_at_once = 500;

using Segments = std::vector<Result<SegmentEntry>>;

Task<Segments> load_segments(Catalog& catalog, DiskId disk, std::uint32_t begin,
                             std::uint32_t end) {
  std::vector<Task<Result<SegmentEntry>>> loads;
  for (std::uint32_t i = begin; i < end; ++i) loads.push_back(catalog.load_segment(disk, i));
  Segments segments = co_await gather(std::move(loads));
  co_return segments;
}

std::uint32_t segment_count(const pb::DiskRecord& record) {
  const Geometry geometry{record.size(), record.block_size()};
  return static_cast<std::uint32_t>(geometry.segment_count());
}

DiskSummary corrupt_disk(std::string name, const std::string& why) {
  DiskSummary summary;
  summary.name = std::move(name);
  summary.health = {Health::corrupt, {why}};
  return summary;
}

/// Fills in what the disk's replica sets tell.
void add_sets(DiskSummary& summary, const std::vector<pb::ReplicaSet>& sets, const NodesUp& nodes) {
  const auto fewest = std::min_element(sets.begin(), sets.end(), [](const auto& a, const auto& b) {
    return a.nodes_size() < b.nodes_size();
  });
  summary.replicas = fewest == sets.end() ? 0 : static_cast<std::uint32_t>(fewest->nodes_size());
  std::set<std::set<std::string>> distinct;
  for (const pb::ReplicaSet& set : sets) distinct.emplace(set.nodes().begin(), set.nodes().end());
  summary.striped = distinct.size() > 1;
  summary.health = judge(summary.record, nodes, sets);
}

/// Fills in what the map tells, or that it is damaged.
void add_map(DiskSummary& summary, const Segments& segments, const NodesUp& nodes) {
  const Geometry geometry{summary.record.size(), summary.record.block_size()};
  std::vector<pb::ReplicaSet> sets;
  for (const auto& loaded : segments) {
    Result<> sound = loaded ? check_segment(loaded->segment, geometry) : Result<>(loaded.error());
    if (!sound) {
      summary.health = {Health::corrupt, {sound.error().what}};
      return;
    }
    sets.insert(sets.end(), loaded->segment.sets().begin(), loaded->segment.sets().end());
  }
  add_sets(summary, sets, nodes);
}

/// nullopt: the disk went away while we looked.
using MaybeSummary = Result<std::optional<DiskSummary>>;

/// A failure about one disk: it went, its record is damaged, or nobody can be asked at all.
MaybeSummary failed_load(const DiskName& name, const Error& error) {
  if (error.code == Code::not_found) return std::optional<DiskSummary>();
  if (error.code == Code::corrupt) return std::optional(corrupt_disk(name.str(), error.what));
  return error;
}

Task<MaybeSummary> load_summary(Catalog& catalog, DiskName name, const NodesUp& nodes) {
  Result<DiskId> id = co_await catalog.find_disk(name);
  if (!id) co_return failed_load(name, id.error());
  Result<DiskEntry> entry = co_await catalog.load_disk(*id);
  if (!entry) co_return failed_load(name, entry.error());
  Result<std::optional<LeaseInfo>> lease = co_await catalog.lease_of(*id);
  if (!lease && lease.code() != Code::not_found) co_return failed_load(name, lease.error());
  DiskSummary summary;
  summary.name = name.str();
  summary.record = without_gone(entry->record);
  if (lease && *lease) summary.holder = (*lease)->record.holder();
  const std::uint32_t all = segment_count(entry->record);
  const std::uint32_t end = needs_map(entry->record, nodes) ? all : std::min(all, 1U);
  Segments segments = co_await load_segments(catalog, *id, 0, end);
  for (const auto& segment : segments) {
    const bool gone = segment.failed_with(Code::unreachable) || segment.failed_with(Code::unknown);
    if (gone) co_return segment.error();
  }
  add_map(summary, segments, nodes);
  co_return std::optional(std::move(summary));
}

Task<std::vector<MaybeSummary>> load_batch(Catalog& catalog, std::vector<DiskName> names,
                                           const NodesUp& nodes) {
  std::vector<Task<MaybeSummary>> loads;
  for (const DiskName& name : names) loads.push_back(load_summary(catalog, name, nodes));
  std::vector<MaybeSummary> loaded = co_await gather(std::move(loads));
  co_return loaded;
}

/// A folder that every UKAI has is absent only where there is none.
template <class T>
Result<T> from_layout(const Context& context, Result<T> result) {
  if (!result.failed_with(Code::not_found)) return result;
  return Error{Code::not_found, fmt::format("there is no UKAI at {}: no daemon has ever run there",
                                            context.settings().servers)};
}

}  // namespace

Result<DiskId> find_disk(Context& context, const std::string& text) {
  auto name = parse_disk_name(text);
  if (!name) return name.error();
  auto id = context.ask(context.catalog().find_disk(*name));
  if (id.failed_with(Code::not_found)) {
    return Error{Code::not_found, fmt::format("there is no disk named '{}'", text)};
  }
  if (id.failed_with(Code::corrupt)) {
    return Error{Code::corrupt, fmt::format("disk {}: {}", text, id.error().what)};
  }
  return id;
}

Result<DiskEntry> load_disk(Context& context, const std::string& text) {
  auto id = find_disk(context, text);
  if (!id) return id.error();
  auto entry = context.ask(context.catalog().load_disk(*id));
  if (entry.failed_with(Code::not_found)) {
    return Error{Code::not_found, fmt::format("there is no disk named '{}'", text)};
  }
  if (entry.failed_with(Code::corrupt)) {
    return Error{Code::corrupt, fmt::format("disk {}: {}", text, entry.error().what)};
  }
  if (entry.ok()) entry->record = without_gone(std::move(entry->record));
  return entry;
}

Result<std::vector<NodeInfo>> load_nodes(Context& context) {
  return from_layout(context, context.ask(context.catalog().nodes()));
}

Result<std::vector<pb::HostRecord>> load_hosts(Context& context) {
  return from_layout(context, context.ask(context.catalog().hosts()));
}

Result<std::vector<DiskName>> load_names(Context& context) {
  return from_layout(context, context.ask(context.catalog().disk_names()));
}

NodesUp nodes_up(const std::vector<NodeInfo>& nodes) {
  NodesUp up;
  for (const NodeInfo& node : nodes) up[node.record.id()] = node.alive.has_value();
  return up;
}

BlockRange all_blocks(const pb::DiskRecord& record) {
  const Geometry geometry{record.size(), record.block_size()};
  return {BlockIndex{0}, BlockIndex{geometry.block_count()}};
}

Result<std::vector<pb::MapSegment>> load_map(Context& context, const pb::DiskRecord& record,
                                             BlockRange wanted) {
  auto id = DiskId::parse(record.id());
  if (!id) return Error{Code::corrupt, fmt::format("disk {}: {}", record.name(), id.error().what)};
  const Geometry geometry{record.size(), record.block_size()};
  const std::uint32_t begin = segment_of(wanted.begin);
  const std::uint32_t end = segment_of(BlockIndex{raw(wanted.end) - 1}) + 1;
  const Segments loaded = sync_wait(load_segments(context.catalog(), *id, begin, end));
  std::vector<pb::MapSegment> segments;
  for (const auto& segment : loaded) {
    auto sound = segment ? check_segment(segment->segment, geometry) : Result<>(segment.error());
    if (sound.failed_with(Code::corrupt)) {
      return Error{Code::corrupt, fmt::format("disk {}: {}", record.name(), sound.error().what)};
    }
    if (!sound) return context.explain(sound.error());
    segments.push_back(segment->segment);
  }
  return segments;
}

Result<DiskSummary> summarise(Context& context, const pb::DiskRecord& record,
                              const NodesUp& nodes) {
  auto segments = load_map(context, record, all_blocks(record));
  if (!segments) return segments.error();
  std::vector<pb::ReplicaSet> sets;
  for (const pb::MapSegment& segment : *segments) {
    sets.insert(sets.end(), segment.sets().begin(), segment.sets().end());
  }
  DiskSummary summary;
  summary.name = record.name();
  summary.record = record;
  add_sets(summary, sets, nodes);
  return summary;
}

Result<std::vector<DiskSummary>> load_summaries(Context& context,
                                                const std::vector<NodeInfo>& nodes) {
  auto names = load_names(context);
  if (!names) return names.error();
  const NodesUp up = nodes_up(nodes);
  std::vector<DiskSummary> summaries;
  for (std::size_t at = 0; at < names->size(); at += disks_at_once) {
    const auto begin = names->begin() + static_cast<std::ptrdiff_t>(at);
    const std::size_t count = std::min(disks_at_once, names->size() - at);
    std::vector<DiskName> batch(begin, begin + static_cast<std::ptrdiff_t>(count));
    auto loaded = sync_wait(load_batch(context.catalog(), std::move(batch), up));
    for (MaybeSummary& summary : loaded) {
      if (!summary) return context.explain(summary.error());
      if (*summary) summaries.push_back(std::move(**summary));
    }
  }
  return summaries;
}

}  // namespace ukai::ctl
