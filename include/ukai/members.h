// SPDX-License-Identifier: BSD-2-Clause
#pragma once

#include <optional>
#include <vector>

#include "ukai/block_map.h"
#include "ukai_records.pb.h"

namespace ukai {

/// The nodes of one disk: present, or missing since a place in the holder's order of writes.
///
/// The rule that everything rests on: of a block's locations that the map calls in-sync, those on
/// present members hold everything acknowledged. If none is present, the one that went missing last
/// does: until then it was the block's only up-to-date replica, and nothing can have been
/// acknowledged without it since. Value.
class MemberTable {
 public:
  MemberTable() = default;
  /// `record` has passed check_record(): at most limits::disk_nodes_max members, no two alike.
  explicit MemberTable(const pb::DiskRecord& record);

  std::size_t size() const { return members_.size(); }
  const NodeId& node(std::size_t index) const { return members_[index].node; }
  std::optional<std::size_t> index_of(const NodeId& node) const;
  bool missing(std::size_t index) const { return members_[index].missing; }
  /// It has no location any more, and is asked for nothing.
  bool gone(std::size_t index) const { return members_[index].gone; }
  /// Epoch in which a missing member went.
  std::uint64_t since_epoch(std::size_t index) const { return members_[index].since_epoch; }
  /// Bit i is set when member i is missing.
  std::uint64_t missing_mask() const;
  std::vector<std::string> names() const;

  /// Indices of the members whose replica of a block with these locations is in sync.
  std::vector<std::size_t> in_sync(const std::vector<Location>& locations) const;
  bool is_in_sync(std::size_t index, const std::vector<Location>& locations) const;

 private:
  struct Member {
    NodeId node;
    bool missing = false;
    bool gone = false;
    std::uint64_t since_epoch = 0;
    std::uint64_t since_sequence = 0;
  };
  std::vector<Member> members_;
};

/// `record` with member `node` missing from (epoch, sequence) on. The pair must be larger than that
/// of any member that is missing already.
pb::DiskRecord with_missing(pb::DiskRecord record, const NodeId& node, Epoch epoch,
                            Sequence sequence, const std::string& reason);
pb::DiskRecord with_present(pb::DiskRecord record, const NodeId& node);

}  // namespace ukai
