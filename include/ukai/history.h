// SPDX-License-Identifier: BSD-2-Clause
#pragma once

#include <optional>
#include <vector>

#include "ukai/result.h"
#include "ukai/types.h"
#include "ukai_records.pb.h"

namespace ukai {

/// How the generations of a disk descend from each other, and so which version of a block a
/// generation sees: the newest one among its own and its ancestors' (design.md section 8). Numbers
/// grow and are never used twice, so a chain is a few runs of numbers however many snapshots there
/// were; a rollback begins another run. Value.
class History {
 public:
  /// Generation 1 and nothing else.
  History() = default;
  /// invalid: no head, or branches that are not in order.
  static Result<History> from(const pb::History& message);
  static Result<History> from(const pb::DiskRecord& record);

  Generation head() const { return head_; }
  /// True as long as there never was a snapshot: every block has one version at most.
  bool simple() const { return head_ == Generation{1}; }
  bool contains(Generation generation) const {
    return Generation{1} <= generation && generation <= head_;
  }

  /// The one of `versions` (ascending) whose content `at` sees. nullopt: zeros.
  std::optional<Generation> seen(const std::vector<Generation>& versions, Generation at) const;
  /// Those of `versions` (ascending) that none of `kept` sees, as far as this history knows them:
  /// later ones may be anybody's.
  std::vector<Generation> unseen(const std::vector<Generation>& versions,
                                 const std::vector<Generation>& kept) const;

 private:
  struct Branch {
    Generation first{};
    Generation parent{};
  };
  const Branch* branch_of(Generation generation) const;

  Generation head_{1};
  std::vector<Branch> branches_;  ///< by first
};

/// With kept_generations(), and `more`.
pb::History history_of(const pb::DiskRecord& record, const std::vector<Generation>& more);

/// The generations that somebody may still read: those of the snapshots, and the head; ascending.
std::vector<Generation> kept_generations(const pb::DiskRecord& record);

std::vector<Generation> kept_in(const pb::History& message);

/// nullptr: there is no such snapshot.
const pb::Snapshot* find_snapshot(const pb::DiskRecord& record, std::string_view name);

/// "vm1@monday" in its two parts; without '@' the snapshot is empty. invalid: not such a name.
struct SnapshotName {
  DiskName disk;
  std::string snapshot;
  std::string text() const { return disk.str() + "@" + snapshot; }
};
Result<SnapshotName> parse_snapshot_name(std::string_view text);

}  // namespace ukai
