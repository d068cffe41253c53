// SPDX-License-Identifier: BSD-2-Clause
#include "ukai/history.h"

#include <fmt/format.h>

#include <algorithm>

namespace ukai {
namespace {

Error invalid(std::string why) { return {Code::invalid, std::move(why)}; }

}  // namespace

pb::History history_of(const pb::DiskRecord& record, const std::vector<Generation>& more) {
  pb::History out;
  out.set_head(record.generation());
  *out.mutable_branches() = record.branches();
  std::vector<Generation> kept = kept_generations(record);
  kept.insert(kept.end(), more.begin(), more.end());
  std::sort(kept.begin(), kept.end());
  kept.erase(std::unique(kept.begin(), kept.end()), kept.end());
  for (const Generation generation : kept) out.add_kept(raw(generation));
  return out;
}

Result<History> History::from(const pb::History& message) {
  History out;
  if (message.head() == 0) return invalid("a history without a generation");
  out.head_ = Generation{message.head()};
  for (const pb::Branch& branch : message.branches()) {
    const bool ordered = out.branches_.empty() || raw(out.branches_.back().first) < branch.first();
    if (!ordered || branch.parent() == 0 || branch.parent() >= branch.first() ||
        branch.first() > message.head()) {
      return invalid(
          fmt::format("generation {} cannot descend from {}", branch.first(), branch.parent()));
    }
    out.branches_.push_back({Generation{branch.first()}, Generation{branch.parent()}});
  }
  return out;
}

Result<History> History::from(const pb::DiskRecord& record) { return from(history_of(record, {})); }

/// The last branch that begins at or before it; null: it descends from generation 1 in turn.
const History::Branch* History::branch_of(Generation generation) const {
  const auto after = std::upper_bound(
      branches_.begin(), branches_.end(), generation,
      [](Generation wanted, const Branch& branch) { return wanted < branch.first; });
  return after == branches_.begin() ? nullptr : &*std::prev(after);
}

std::optional<Generation> History::seen(const std::vector<Generation>& versions,
                                        Generation at) const {
  for (;;) {
    const Branch* branch = branch_of(at);
    const Generation first = branch ? branch->first : Generation{1};
    const auto after = std::upper_bound(versions.begin(), versions.end(), at);
    if (after != versions.begin() && *std::prev(after) >= first) return *std::prev(after);
    if (!branch) return std::nullopt;
    at = branch->parent;
  }
}

std::vector<Generation> History::unseen(const std::vector<Generation>& versions,
                                        const std::vector<Generation>& kept) const {
  std::vector<Generation> out;
  for (const Generation version : versions) {
    if (contains(version)) out.push_back(version);
  }
  for (const Generation generation : kept) {
    if (out.empty()) break;
    if (const auto wanted = seen(versions, generation)) std::erase(out, *wanted);
  }
  return out;
}

std::vector<Generation> kept_generations(const pb::DiskRecord& record) {
  std::vector<Generation> out{Generation{record.generation()}};
  for (const pb::Snapshot& snapshot : record.snapshots()) {
    out.push_back(Generation{snapshot.generation()});
  }
  std::sort(out.begin(), out.end());
  return out;
}

std::vector<Generation> kept_in(const pb::History& message) {
  std::vector<Generation> out;
  for (const std::uint64_t generation : message.kept()) out.push_back(Generation{generation});
  return out;
}

const pb::Snapshot* find_snapshot(const pb::DiskRecord& record, std::string_view name) {
  for (const pb::Snapshot& snapshot : record.snapshots()) {
    if (snapshot.name() == name) return &snapshot;
  }
  return nullptr;
}

Result<SnapshotName> parse_snapshot_name(std::string_view text) {
  const std::size_t at = text.find('@');
  auto disk = parse_disk_name(text.substr(0, at));
  if (!disk) return disk.error();
  SnapshotName out;
  out.disk = *disk;
  if (at == std::string_view::npos) return out;
  auto snapshot = parse_disk_name(text.substr(at + 1));
  if (!snapshot) return invalid(fmt::format("'{}' is no name of a snapshot", text.substr(at + 1)));
  out.snapshot = snapshot->str();
  return out;
}

}  // namespace ukai
