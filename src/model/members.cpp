// SPDX-License-Identifier: BSD-2-Clause
#include "ukai/members.h"

#include <algorithm>
#include <cassert>
#include <tuple>

#include "base/unix_time.h"

namespace ukai {

MemberTable::MemberTable(const pb::DiskRecord& record) {
  assert(record.members_size() <= static_cast<int>(limits::disk_nodes_max));
  for (const pb::Member& member : record.members()) {
    members_.push_back({NodeId(member.node()), member.missing(), member.gone(),
                        member.since_epoch(), member.since_sequence()});
  }
}

std::optional<std::size_t> MemberTable::index_of(const NodeId& node) const {
  for (std::size_t i = 0; i < members_.size(); ++i) {
    if (members_[i].node == node) return i;
  }
  return std::nullopt;
}

std::uint64_t MemberTable::missing_mask() const {
  std::uint64_t mask = 0;
  for (std::size_t i = 0; i < members_.size(); ++i) {
    if (members_[i].missing) mask |= std::uint64_t{1} << i;
  }
  return mask;
}

std::vector<std::string> MemberTable::names() const {
  std::vector<std::string> out;
  for (const Member& member : members_) out.push_back(member.node.str());
  return out;
}

std::vector<std::size_t> MemberTable::in_sync(const std::vector<Location>& locations) const {
  std::vector<std::size_t> present;
  std::optional<std::size_t> last;
  for (const Location& location : locations) {
    if (location.status != SyncStatus::in_sync) continue;
    const auto index = index_of(location.node);
    if (!index) continue;
    const Member& member = members_[*index];
    if (!member.missing) {
      present.push_back(*index);
    } else if (!last || std::tie(member.since_epoch, member.since_sequence) >
                            std::tie(members_[*last].since_epoch, members_[*last].since_sequence)) {
      last = index;
    }
  }
  if (present.empty() && last) present.push_back(*last);
  return present;
}

bool MemberTable::is_in_sync(std::size_t index, const std::vector<Location>& locations) const {
  const auto all = in_sync(locations);
  return std::find(all.begin(), all.end(), index) != all.end();
}

pb::DiskRecord with_missing(pb::DiskRecord record, const NodeId& node, Epoch epoch,
                            Sequence sequence, const std::string& reason) {
  for (pb::Member& member : *record.mutable_members()) {
    assert(!member.missing() || std::make_tuple(member.since_epoch(), member.since_sequence()) <
                                    std::make_tuple(raw(epoch), raw(sequence)));
    if (member.node() != node.str() || member.missing()) continue;
    member.set_missing(true);
    member.set_since_epoch(raw(epoch));
    member.set_since_sequence(raw(sequence));
    member.set_reason(reason);
    member.set_since_unix_s(unix_now_s());
  }
  return record;
}

pb::DiskRecord with_present(pb::DiskRecord record, const NodeId& node) {
  for (pb::Member& member : *record.mutable_members()) {
    if (member.node() != node.str()) continue;
    const bool gone = member.gone();
    member.Clear();
    member.set_node(node.str());
    member.set_gone(gone);
  }
  return record;
}

}  // namespace ukai
