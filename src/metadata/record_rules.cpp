// SPDX-License-Identifier: BSD-2-Clause
#include "metadata/record_rules.h"

#include <fmt/format.h>

#include <algorithm>
#include <set>

#include "base/text.h"
#include "ukai/geometry.h"
#include "ukai/history.h"
#include "ukai/limits.h"
#include "ukai/types.h"

namespace ukai {
namespace {

Error corrupt(std::string why) { return {Code::corrupt, std::move(why)}; }

/// Texts go into logs, tables and text files, line by line.
Result<> check_line(std::string_view text, std::string_view what) {
  const auto is_control = [](char c) { return static_cast<unsigned char>(c) < 0x20 || c == 0x7f; };
  if (text.size() > limits::record_text_bytes_max) {
    return corrupt(fmt::format("its {} has {} bytes", what, text.size()));
  }
  if (std::any_of(text.begin(), text.end(), is_control)) {
    return corrupt(fmt::format("its {} '{}' is not one line of text", what, printable(text)));
  }
  return Unit{};
}

struct Line {
  std::string_view text;
  std::string_view what;
};

Result<> check_lines(std::initializer_list<Line> lines) {
  for (const Line& line : lines) {
    if (auto fine = check_line(line.text, line.what); !fine) return fine;
  }
  return Unit{};
}

Result<> check_id(const std::string& text, std::string_view what) {
  auto id = parse_id(text, what);
  if (!id) return corrupt(id.error().what);
  return Unit{};
}

Result<> check_member(const pb::DiskRecord& record, const pb::Member& member) {
  if (auto id = check_id(member.node(), "node"); !id) return id;
  if (!member.missing()) return Unit{};
  if (member.since_epoch() == 0 || member.since_epoch() > record.epoch()) {
    return corrupt(fmt::format("member {} is missing since epoch {}, the disk's is {}",
                               member.node(), member.since_epoch(), record.epoch()));
  }
  return Unit{};
}

/// No two of the same name, and no two that went missing at the same place: the later one of them
/// is the truth.
Result<> check_members(const pb::DiskRecord& record) {
  if (record.members_size() > static_cast<int>(limits::disk_nodes_max)) {
    return corrupt(fmt::format("has {} members, {} are possible", record.members_size(),
                               limits::disk_nodes_max));
  }
  std::set<std::string_view> names;
  std::set<std::pair<std::uint64_t, std::uint64_t>> places;
  for (const pb::Member& member : record.members()) {
    if (auto fine = check_member(record, member); !fine) return fine;
    if (!names.insert(member.node()).second) {
      return corrupt(fmt::format("names member {} twice", member.node()));
    }
    if (!member.missing()) continue;
    if (!places.emplace(member.since_epoch(), member.since_sequence()).second) {
      return corrupt(
          fmt::format("member {} is missing since the same place as another", member.node()));
    }
  }
  return Unit{};
}

Result<> check_hosts(const pb::DiskRecord& record) {
  std::set<std::string_view> hosts;
  for (const std::string& host : record.allowed_hosts()) {
    if (auto id = check_id(host, "host"); !id) return id;
    if (!hosts.insert(host).second) return corrupt(fmt::format("names host {} twice", host));
  }
  return Unit{};
}

Result<> check_snapshots(const pb::DiskRecord& record) {
  auto history = History::from(record);
  if (!history) return corrupt(history.error().what);
  std::set<std::string_view> names;
  for (const pb::Snapshot& snapshot : record.snapshots()) {
    if (!parse_disk_name(snapshot.name())) return corrupt("has a snapshot without a valid name");
    if (!names.insert(snapshot.name()).second) {
      return corrupt(fmt::format("names snapshot {} twice", snapshot.name()));
    }
    if (!history->contains(Generation{snapshot.generation()})) {
      return corrupt(fmt::format("snapshot {} is of no generation of it", snapshot.name()));
    }
    auto geometry = make_geometry(snapshot.size(), record.block_size());
    if (!geometry || snapshot.size() > record.size()) {
      return corrupt(fmt::format("snapshot {} has an impossible size", snapshot.name()));
    }
  }
  return check_line(record.clone_of(), "origin");
}

}  // namespace

Result<> check_record(const pb::ClusterRecord& record) {
  if (!DiskId::parse(record.id())) return corrupt("holds no cluster id");
  return Unit{};
}

Result<> check_record(const pb::NodeRecord& record) {
  if (auto id = check_id(record.id(), "node"); !id) return id;
  for (const std::string& label : record.labels()) {
    if (auto fine = check_line(label, "label"); !fine) return fine;
  }
  const std::string& state = record.admin_state();
  if (!state.empty() && state != "active" && state != "draining") {
    return corrupt(fmt::format("its admin state '{}' is unknown", printable(state)));
  }
  return check_lines({{record.data_address(), "data address"},
                      {record.control_address(), "control address"},
                      {record.site(), "site"},
                      {record.store_id(), "store id"}});
}

Result<> check_record(const pb::NodeAlive& record) {
  return check_lines({{record.boot_id(), "boot id"}, {record.version(), "version"}});
}

Result<> check_record(const pb::HostRecord& record) {
  if (auto id = check_id(record.id(), "host"); !id) return id;
  if (!record.node_id().empty()) {
    if (auto id = check_id(record.node_id(), "node"); !id) return id;
  }
  return check_lines({{record.control_address(), "control address"},
                      {record.data_address(), "data address"},
                      {record.site(), "site"},
                      {record.version(), "version"}});
}

Result<> check_record(const pb::NameRecord& record) {
  if (!DiskId::parse(record.disk_id())) return corrupt("holds no disk id");
  return Unit{};
}

Result<> check_record(const pb::DiskRecord& record) {
  if (!DiskId::parse(record.id())) return corrupt("holds no disk id");
  if (!parse_disk_name(record.name())) return corrupt("has no valid name");
  auto geometry = make_geometry(record.size(), record.block_size());
  if (!geometry) return corrupt(geometry.error().what);
  if (record.generation() == 0) return corrupt("has no generation");
  if (auto fine = check_members(record); !fine) return fine;
  if (auto fine = check_hosts(record); !fine) return fine;
  if (auto fine = check_snapshots(record); !fine) return fine;
  return check_line(record.last_holder(), "last holder");
}

Result<> check_record(const pb::MapSegment& record) {
  constexpr std::uint64_t segments_max =
      limits::disk_size_bytes_max / limits::block_size_bytes_min / limits::segment_blocks;
  if (record.segment() >= segments_max) {
    return corrupt(fmt::format("is segment {}, which no disk can have", record.segment()));
  }
  return Unit{};
}

Result<> check_record(const pb::LeaseRecord& record) {
  if (record.holder().empty()) return corrupt("names no holder");
  if (record.epoch() == 0) return corrupt("has no epoch");
  if (!pb::LeaseRecord::Kind_IsValid(record.kind())) {
    return corrupt(fmt::format("is of the unknown kind {}", static_cast<int>(record.kind())));
  }
  return check_line(record.holder(), "holder");
}

Result<> check_record(const pb::TrashRecord& record) {
  if (!DiskId::parse(record.disk_id())) return corrupt("holds no disk id");
  for (const pb::TrashBlocks& blocks : record.blocks()) {
    if (blocks.begin() >= blocks.end()) return corrupt("names no blocks");
  }
  if (record.has_versions() && !History::from(record.versions())) {
    return corrupt("holds no history");
  }
  return check_line(record.disk_name(), "disk's name");
}

Result<> check_record(const pb::EventRecord& record) {
  return check_lines({{record.what(), "kind"},
                      {record.who(), "author"},
                      {record.disk(), "disk's name"},
                      {record.node(), "node"},
                      {record.text(), "text"}});
}

Result<> check_record(const pb::JobRecord& record) {
  if (!DiskId::parse(record.disk_id())) return corrupt("holds no disk id");
  if (!pb::JobRecord::Kind_IsValid(record.kind())) {
    return corrupt(fmt::format("is of the unknown kind {}", static_cast<int>(record.kind())));
  }
  if (!pb::JobRecord::State_IsValid(record.state())) {
    return corrupt(fmt::format("is in the unknown state {}", static_cast<int>(record.state())));
  }
  if (record.end() != 0 && record.begin() >= record.end()) return corrupt("names no blocks");
  for (const pb::JobMove& move : record.moves()) {
    if (move.begin() >= move.end()) return corrupt("moves no blocks");
    if (auto to = check_id(move.to(), "node"); !to) return to;
    if (auto from = check_line(move.from(), "node"); !from) return from;
  }
  return check_lines({{record.id(), "id"},
                      {record.disk_name(), "disk's name"},
                      {record.why(), "reason"},
                      {record.asked_by(), "author"},
                      {record.runner(), "host"},
                      {record.error(), "kind of failure"},
                      {record.part_of(), "purpose"}});
}

}  // namespace ukai
