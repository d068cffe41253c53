// SPDX-License-Identifier: BSD-2-Clause
#include <fmt/format.h>

#include <algorithm>
#include <tuple>

#include "ukai/disk_change.h"
#include "ukai/members.h"

namespace ukai {
namespace {

const Testimony* of(const std::vector<Testimony>& said, const std::string& node) {
  const auto found = std::find_if(said.begin(), said.end(),
                                  [&](const Testimony& one) { return one.node.str() == node; });
  return found == said.end() ? nullptr : &*found;
}

/// Larger for who is trusted more, as long as no log says otherwise.
auto standing(const pb::Member& member, const std::vector<Testimony>& said) {
  const Testimony* own = of(said, member.node());
  const bool crashed = own != nullptr && own->crashed;
  return std::make_tuple(!member.compare_all(), !crashed, !member.missing(), member.since_epoch(),
                         member.since_sequence());
}

/// Whether `accuser` knows of changes that `other` lacks.
bool accuses(const pb::Member& accuser, const pb::Member& other,
             const std::vector<Testimony>& said) {
  if (accuser.compare_all() && !other.compare_all()) return false;  // the operator's word
  const Testimony* own = of(said, accuser.node());
  return own != nullptr && accuser.node() != other.node() &&
         std::find(own->accused.begin(), own->accused.end(), other.node()) != own->accused.end();
}

Error contradiction(const pb::DiskRecord& record, const std::vector<pb::Member>& left) {
  std::string names;
  for (const pb::Member& member : left) {
    if (!names.empty()) names += ", ";
    names += member.node();
  }
  return {Code::refused,
          fmt::format("disk {}: the logs of nodes {} contradict each other about who is up to "
                      "date; 'ukaictl disk recover {} --from NODE --accept-loss' decides",
                      record.name(), names, record.name())};
}

/// The next of `left`: accused by nobody in it, and of those the one that stands best.
std::vector<pb::Member>::iterator next_of(std::vector<pb::Member>& left,
                                          const std::vector<Testimony>& said) {
  auto best = left.end();
  for (auto at = left.begin(); at != left.end(); ++at) {
    const bool accused = std::any_of(left.begin(), left.end(), [&](const pb::Member& other) {
      return accuses(other, *at, said);
    });
    if (accused) continue;
    if (best == left.end() || standing(*at, said) > standing(*best, said)) best = at;
  }
  return best;
}

}  // namespace

Result<pb::DiskRecord> settle_members(pb::DiskRecord record, const std::vector<Testimony>& said,
                                      Epoch epoch) {
  // 1. Who knows more than whom.
  std::vector<pb::Member> left(record.members().begin(), record.members().end());
  std::vector<NodeId> order;
  while (!left.empty()) {
    const auto next = next_of(left, said);
    if (next == left.end()) return contradiction(record, left);
    order.emplace_back(next->node());
    left.erase(next);
  }
  // 2. Who knows least went first. The last one of a block's replicas to go counts for it, so that
  //    this order is right for blocks that the present one does not have, too.
  for (const NodeId& node : order) record = with_present(std::move(record), node);
  for (std::size_t i = order.size(); i-- > 1;) {
    const Sequence sequence{order.size() - i};
    record = with_missing(std::move(record), order[i], epoch, sequence,
                          "the metadata were loaded: its replicas are compared");
  }
  for (pb::Member& member : *record.mutable_members()) {
    if (member.missing()) member.set_compare_all(true);
  }
  record.set_unproven(false);
  return record;
}

}  // namespace ukai
