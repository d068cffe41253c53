// SPDX-License-Identifier: BSD-2-Clause
#pragma once

#include <atomic>
#include <deque>
#include <functional>
#include <memory>
#include <vector>

#include "disk/copy.h"
#include "disk/disk_core.h"
#include "disk/guest_watch.h"
#include "disk/membership.h"
#include "disk/pacer.h"
#include "ukai/location_change.h"

namespace ukai {

/// Which replicas are to be brought in sync.
struct MoveTerms {
  struct Part {
    NodeId node;  ///< empty: every node
    BlockRange blocks;
  };
  std::vector<Part> parts;
  /// Between nodes, all copies together; 0: no limit. May change meanwhile.
  std::shared_ptr<const std::atomic<std::uint64_t>> rate_bytes_per_s;

  bool covers(const NodeId& node, BlockIndex block) const;
  BlockRange hull() const;
  std::uint64_t rate() const { return rate_bytes_per_s ? rate_bytes_per_s->load() : 0; }
};

/// Brings locations that the operator has given in sync, while the guest goes on.
///
/// First the replicas are filled: copied without being part of any write, again and again what has
/// changed meanwhile, as long as that becomes less. So a guest does not wait for a far node while
/// the bulk is on its way. Then, block by block (protocol.md, "Copying a block"): new writes go to
/// the replica as well; those planned before that are waited out; what has changed since it was
/// filled is pulled; a round of blocks is flushed there and recorded as in sync in one transaction.
/// A replica that fails anywhere on the way is left as it was, and costs the guest one write's wait
/// at most.
class Mover {
 public:
  Mover(DiskCore& core, Membership& membership) : core_(core), membership_(membership) {}

  struct Progress {
    std::uint64_t left = 0;      ///< replicas that are not in sync, of members there or not
    std::uint64_t filled = 0;    ///< of those, as good as copied
    BlockIndex fill_at{};        ///< where filling goes on
    BlockIndex at{};             ///< where the next round looks first
    std::optional<Error> error;  ///< of the last copy that failed
  };
  /// A new request: what is not in sync may be worth filling. Its end: nothing is kept for another.
  void begin_filling();
  void end_filling();
  /// Counts `left` and `filled`. Errors: why the disk is no longer served.
  Task<Result<>> count(const MoveTerms& terms, Progress& progress);
  /// One step, of a few seconds at most. False: nothing came of it.
  Task<Result<bool>> step(const MoveTerms& terms, Progress& progress);

 private:
  struct Work {
    bool fills = false;
    std::uint64_t rate_bytes_per_s = 0;  ///< of all workers
    bool gives_way = false;              ///< to the guest, as a whole
    std::size_t workers = 1;
    TimePoint until{};                              ///< no block is begun after that
    std::deque<BlockReplica> left;                  ///< by core mutex
    std::vector<std::shared_ptr<Arrival>> arrived;  ///< by core mutex
    std::size_t filled = 0;                         ///< by core mutex
    std::optional<Error> error;                     ///< by core mutex
  };

  FillMap& fill_map(std::size_t member);
  bool stale(const BlockReplica& replica);
  std::optional<std::size_t> usable(const BlockReplica& wanted);
  Task<Result<std::deque<BlockReplica>>> next_replicas(const MoveTerms& terms, bool fills,
                                                       BlockIndex& from);
  bool gives_way();
  bool all_near();
  static std::size_t workers(const Work& work);
  Task<Result<bool>> fill(const MoveTerms& terms, Progress& progress);
  Task<Result<bool>> end_pass(const MoveTerms& terms, Progress& progress);
  Task<Result<bool>> round(const MoveTerms& terms, Progress& progress);
  Task<void> run(std::shared_ptr<Work> work, const MoveTerms& terms);
  Task<bool> copy_some(std::shared_ptr<Work> work);
  Task<void> fill_one(std::shared_ptr<Work> work, BlockReplica replica);
  Task<bool> copy_one(std::shared_ptr<Work> work, BlockReplica replica);
  Task<bool> pull(std::shared_ptr<Work> work, BlockReplica replica, std::size_t member,
                  std::uint64_t forward_from);
  std::shared_ptr<Arrival> begin(const BlockReplica& wanted, bool& filled);
  void end(const std::vector<std::shared_ptr<Arrival>>& arrivals);
  bool alive(const Arrival& arrival);
  Task<bool> wait_out_writes(std::shared_ptr<Arrival> arrival);
  Task<void> drain(BlockIndex block, std::shared_ptr<std::atomic<bool>> drained);
  Task<void> flush(std::shared_ptr<Work> work);

  DiskCore& core_;
  Membership& membership_;
  AsyncMutex turn_;
  Pacer pacer_;  ///< by core mutex
  // -- by turn_
  GuestWatch guest_;
  std::uint64_t stale_before_ = UINT32_MAX;  ///< replicas that the last pass left to be filled
  bool filled_enough_ = false;               ///< another pass would not make it less
};

}  // namespace ukai
