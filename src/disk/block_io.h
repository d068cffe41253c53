// SPDX-License-Identifier: BSD-2-Clause
#pragma once

#include <variant>
#include <vector>

#include "disk/disk_core.h"
#include "disk/epoch_confirmation.h"
#include "disk/hedged_reads.h"
#include "disk/membership.h"
#include "disk/repair.h"
#include "disk/requests.h"

namespace ukai {

/// Reads and changes one block: which replicas, in which order, and what a failure leads to
/// (design.md rules 2, 4, 5; protocol.md "Reads").
class BlockIo {
 public:
  BlockIo(DiskCore& core, Membership& membership, Repairer& repairer)
      : core_(core),
        membership_(membership),
        repairer_(repairer),
        hedged_(core, repairer),
        confirmation_(core) {}

  /// What is read: a snapshot's generation, or the disk as it is.
  using View = std::optional<Generation>;

  Task<Result<Payload>> read(BlockPart part, View at);
  /// `op` is write (data: part.length_bytes bytes) or zero (no data).
  Task<Result<>> change(BlockPart part, IoOp op, Payload data);
  /// Which parts of a block hold data; as IoOp::extents.
  Task<Result<Payload>> extents(BlockIndex block, View at);

 private:
  struct Wait {};  ///< no replica can be asked now
  struct SetAside {
    std::vector<std::size_t> members;
  };  ///< must be recorded as missing first
  struct Go {
    std::vector<Target> targets;  ///< reads: best first
    std::uint64_t missing_mask = 0;
  };
  using Plan = std::variant<Error, Wait, SetAside, Go>;

  Plan plan_read(BlockIndex block);
  Plan plan_change(BlockIndex block);
  void add_all_open(const std::vector<Location>& locations, Go& go);
  Target target_of(const Replica& replica, bool required) const;
  Task<bool> may_serve(const std::vector<Location>& locations);
  Task<Result<MapCache::View>> load_map(BlockIndex block);
  std::optional<Go> plan_now(BlockIndex block, bool changes);
  Task<Result<Go>> next_plan(BlockIndex block, bool changes, TimePoint deadline);
  bool count_applied(BlockIndex block, const std::vector<Answer>& answers);
  void add_arrivals(BlockIndex block, Go& go, SetAside& aside);
  void note_stale(BlockIndex block, const std::vector<Target>& targets);
  bool may_be_in_sync(BlockIndex block, std::size_t index);
  bool held_in_sync(BlockIndex block, const std::vector<Answer>& answers);
  Task<Result<>> after_failures(BlockIndex block, std::vector<Answer> answers, bool& again);
  Task<void> mend_refusals(BlockPart part, IoRequest request, std::vector<Answer>& answers);
  Task<Result<Payload>> read_locked(BlockPart part, IoOp op, View at);
  Task<Result<Payload>> read_halves(BlockPart part, View at);
  Error damaged_everywhere(BlockPart part, const std::vector<std::size_t>& members);
  std::size_t in_sync_count(BlockIndex block);
  Task<void> settle(BlockIndex block, RangeLocks::Guard guard);
  Error io_error(BlockIndex block, std::string_view why);

  DiskCore& core_;
  Membership& membership_;
  Repairer& repairer_;
  HedgedReads hedged_;
  EpochConfirmation confirmation_;
};

}  // namespace ukai
