// SPDX-License-Identifier: BSD-2-Clause
#pragma once

#include <compare>
#include <optional>
#include <vector>

#include "disk/disk_core.h"

namespace ukai {

/// One block with all of its versions, the head's last.
struct BlockVersion {
  BlockIndex block{};
  Generation generation{1};
  auto operator<=>(const BlockVersion&) const = default;
};

/// The single blocks that `spans` cover, as far as they lie within the disk.
std::vector<BlockVersion> versions_in(DiskCore& core, const pb::DirtyListReply& spans);

struct CopyOutcome {
  bool ok = false;
  bool target_failed = false;  ///< else the source did, or both sides are away
  bool damaged = false;        ///< the source has data that does not fit its checksum
  Error error{Code::io, ""};
  std::uint64_t bytes_fetched = 0;
};

/// Makes `version` on member `target` equal to member `source`'s: the target pulls by itself what
/// differs. Guest writes that go to the target meanwhile are not covered by it. Sessions that turn
/// out to be broken are ended.
Task<CopyOutcome> copy_block(DiskCore& core, BlockVersion version, std::size_t source,
                             std::size_t target);

/// Of a copy that is no part of healing a member.
struct CopyTerms {
  std::uint64_t forward_from = 0;      ///< this sequence and later go to the target as well
  std::uint64_t rate_bytes_per_s = 0;  ///< 0: no limit
  bool gives_way = false;              ///< a guest is at work, and all are near: piece by piece
};

enum class BlockHold { free, held };  ///< does the caller keep changes of the block out?

/// The same. What is damaged at the source is repaired first, from whatever replica in sync has it;
/// what none has is damaged at the target as well, and keeps nothing else from being copied.
Task<CopyOutcome> copy_despite_damage(DiskCore& core, BlockVersion version, std::size_t source,
                                      std::size_t target, BlockHold hold,
                                      std::optional<CopyTerms> terms = std::nullopt);

/// The open member nearest to `except`, by site, whose replica of `block` is in sync, that one
/// aside.
/// The block's map segment is loaded.
std::optional<std::size_t> source_for(DiskCore& core, BlockIndex block, std::size_t except);

}  // namespace ukai
