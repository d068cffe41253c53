// SPDX-License-Identifier: BSD-2-Clause
#include "ctl/disk_view.h"

#include <fmt/format.h>

#include <map>

#include "ctl/table.h"

namespace ukai::ctl {
namespace {

const pb::MemberStatus* status_of(const DiskDetail& disk, const std::string& node) {
  if (!disk.status) return nullptr;
  for (const pb::MemberStatus& status : disk.status->members()) {
    if (status.node() == node) return &status;
  }
  return nullptr;
}

std::string member_text(const DiskDetail& disk, const pb::Member& member) {
  std::string text = member.node() + " " + state_of(disk, member);
  if (!is_up(disk.nodes, member.node())) text += ", down";
  if (!member.missing()) return text;
  if (!member.reason().empty()) text += fmt::format(" ({})", member.reason());
  text += fmt::format(" since {}", format_time(member.since_unix_s()));
  const auto lacked = lacks(disk, member);
  if (!lacked) return text + ", missed blocks not known";
  return text + fmt::format(", {} missed", count_of(*lacked, "block"));
}

/// "12 MiB: 8 MiB exclusive, 4 MiB shared with other disks", and who has not told.
std::string usage_text(const DiskDetail& disk) {
  const SpaceUsed sum = sum_of(disk.usage);
  std::vector<std::string> silent;
  for (const std::string& node : member_names(disk.summary.record)) {
    if (!disk.usage.contains(node)) silent.push_back(node);
  }
  if (disk.usage.empty()) return "not known: no node answers";
  const std::string text = fmt::format(
      "{} on all nodes: {} exclusive, {} shared with other disks", format_size(sum.used_bytes),
      format_size(sum.exclusive_bytes()), format_size(sum.shared_bytes));
  return silent.empty() ? text : fmt::format("{}; without {}", text, join(silent));
}

}  // namespace

std::string_view to_string(pb::LeaseRecord::Kind kind) {
  switch (kind) {
    case pb::LeaseRecord::GUEST:
      return "guest";
    case pb::LeaseRecord::JOB:
      return "job";
    case pb::LeaseRecord::ADMIN:
      return "admin";
    default:
      return "unknown";
  }
}

std::vector<std::string> member_names(const pb::DiskRecord& record) {
  std::vector<std::string> names;
  for (const pb::Member& member : record.members()) names.push_back(member.node());
  return names;
}

bool is_up(const NodesUp& nodes, const std::string& node) {
  const auto found = nodes.find(node);
  return found != nodes.end() && found->second;
}

std::string state_of(const DiskDetail& disk, const pb::Member& member) {
  const pb::MemberStatus* status = status_of(disk, member.node());
  if (status != nullptr && !status->state().empty()) return status->state();
  return member.missing() ? "missing" : "present";
}

std::optional<std::uint64_t> lacks(const DiskDetail& disk, const pb::Member& member) {
  if (!member.missing()) return 0;
  const pb::MemberStatus* status = status_of(disk, member.node());
  if (status != nullptr && !status->unknown()) return status->missed_blocks();
  const auto missed = disk.missed.find(member.node());
  if (missed == disk.missed.end() || !missed->second.complete) return std::nullopt;
  std::uint64_t blocks = 0;
  for (const BlockRange& range : missed->second.blocks) blocks += range.count();
  return blocks;
}

std::string disk_list_table(const std::vector<DiskSummary>& disks) {
  Table table({"NAME", ">SIZE", ">BLOCK SIZE", ">REPLICAS", "NODES", "HOLDER", "HEALTH"});
  for (const DiskSummary& disk : disks) {
    const bool known = disk.record.size() > 0;
    std::string nodes = join(member_names(disk.record));
    if (disk.striped) nodes += " striped";
    table.add_row({disk.name, known ? format_size(disk.record.size()) : "-",
                   known ? format_size(disk.record.block_size()) : "-",
                   known ? std::to_string(disk.replicas) : "-", nodes,
                   disk.holder.empty() ? "-" : disk.holder,
                   std::string(to_string(disk.health.health))});
  }
  return table.text();
}

std::string disk_info_text(const DiskDetail& disk) {
  const pb::DiskRecord& record = disk.summary.record;
  Properties text;
  text.add("name", record.name());
  text.add("id", record.id());
  text.add("size", fmt::format("{} ({} bytes)", format_size(record.size()), record.size()));
  text.add("used", usage_text(disk));
  text.add("block size", fmt::format("{} ({})", format_size(record.block_size()),
                                     count_of(raw(all_blocks(record).end), "block")));
  text.add("replicas", fmt::format("{}{}", disk.summary.replicas,
                                   disk.summary.striped ? " a block, striped" : " a block"));
  text.add("health", std::string(to_string(disk.summary.health.health)));
  for (const std::string& reason : disk.summary.health.reasons) text.add("", reason);
  for (const pb::Member& member : record.members()) text.add("node", member_text(disk, member));
  text.add("holder",
           disk.lease
               ? fmt::format("{} ({}, epoch {}, since {})", disk.lease->record.holder(),
                             to_string(disk.lease->record.kind()), disk.lease->record.epoch(),
                             format_time(disk.lease->record.since_unix_s()))
               : "nobody");
  if (disk.status) {
    text.add("open", fmt::format("{}, {}", count_of(disk.status->readers(), "reader"),
                                 count_of(disk.status->writers(), "writer")));
  }
  const std::vector<std::string> allowed(record.allowed_hosts().begin(),
                                         record.allowed_hosts().end());
  text.add("allowed hosts", allowed.empty() ? "any" : join(allowed));
  const std::map<std::string, std::string> meta(record.meta().begin(), record.meta().end());
  for (const auto& [key, value] : meta) text.add("meta", one_line(key + "=" + value));
  if (record.snapshots_size() > 0) {
    text.add("snapshots", std::to_string(record.snapshots_size()));
  }
  if (!record.clone_of().empty()) text.add("clone of", record.clone_of());
  text.add("created", format_time(record.created_unix_s()));
  return text.text();
}

std::string disk_verify_text(const pb::DiskRecord& record, const Verified& found) {
  if (found.differences.empty()) {
    return fmt::format("disk {}: {} verified, all in-sync replicas are identical\n", record.name(),
                       count_of(found.blocks, "block"));
  }
  Table table({">BLOCK", "NODES THAT DIFFER FROM THE FIRST"});
  for (const pb::Difference& difference : found.differences) {
    table.add_row({std::to_string(difference.block()),
                   join({difference.nodes().begin(), difference.nodes().end()})});
  }
  return table.text();
}

std::string scrub_text(const pb::DiskRecord& record, const pb::ScrubProgress& found) {
  const std::string done =
      fmt::format("disk {}: {} checked", record.name(), count_of(found.blocks_done(), "block"));
  if (found.damaged_units() == 0) return done + ", all checksums fit\n";
  return fmt::format("{}, {} of 4 KiB did not fit, {} repaired\n", done,
                     count_of(found.damaged_units(), "unit"), found.repaired_units());
}

}  // namespace ukai::ctl
